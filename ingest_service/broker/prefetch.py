"""How many unacknowledged messages the broker may send, so that they stay within a number of bytes.

AMQP counts messages, and RabbitMQ knows no limit in bytes. A consumer that asks for 20,000 messages and gets them
at 1 MiB each has to stop reading, and RabbitMQ closes a connection that it could not write to for 30 s. So a consumer
begins with a few, and asks for more while messages are small.
"""

_FIRST = 8
_GROWTH = 16


class Prefetch:
    """A count that follows the size of the messages."""

    def __init__(self, most: int, target_bytes: int) -> None:
        self._most = most
        self._target = target_bytes
        self.restart()

    def restart(self) -> None:
        """Begin with a small count again, for a new consumer."""
        self._messages = self._bytes = 0
        self.count = min(_FIRST, self._most)

    def observe(self, messages: int, size: int) -> bool:
        """Note received messages and their bytes; True if the count has changed.

        It grows in steps, each after as many messages as it allows, and falls at once.
        """
        self._messages += messages
        self._bytes += size
        fitting = max(1, min(self._most, self._target * self._messages // max(1, self._bytes)))
        if fitting * 2 <= self.count:
            wanted = fitting
        elif self._messages >= self.count:
            wanted = min(fitting, self.count * _GROWTH)
            if self.count < wanted < self.count * 2 and wanted < self._most:
                wanted = self.count  # so small a change is not worth a new consumer
        else:
            return False
        self._messages = self._bytes = 0
        changed, self.count = wanted != self.count, wanted
        return changed
