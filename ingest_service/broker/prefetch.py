"""How many messages the broker may have sent and not had acknowledged, so that they are about so many bytes.

AMQP counts messages, and RabbitMQ knows no limit in bytes. Whoever asks for 20,000 messages and gets them at 1 MiB each
has to stop reading, and RabbitMQ ends a connection that it could not write to for 30 s. So a consumer begins with a
few, and asks for more while what comes is small.
"""

_FIRST = 8
_GROWTH = 16


class Prefetch:
    """A count that follows the size of what comes."""

    def __init__(self, most: int, target_bytes: int) -> None:
        self._most = most
        self._target = target_bytes
        self._messages = self._bytes = 0
        self.count = min(_FIRST, most)

    def observe(self, messages: int, size: int) -> bool:
        """Messages of so many bytes together have come; True where the count has changed.

        It grows step by step, each time as many messages as it allows have come, and falls at once.
        """
        self._messages += messages
        self._bytes += size
        fitting = max(1, min(self._most, self._target * self._messages // max(1, self._bytes)))
        if fitting * 2 <= self.count:
            wanted = fitting
        elif self._messages >= self.count:
            wanted = min(fitting, self.count * _GROWTH)
            if self.count < wanted < self.count * 2 and wanted < self._most:
                wanted = self.count  # a new consumer for so little is not worth its while
        else:
            return False
        self._messages = self._bytes = 0
        changed, self.count = wanted != self.count, wanted
        return changed
