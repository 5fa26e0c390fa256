"""Whether RabbitMQ accepts a login, and the depth and the consumers of every queue."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.management import queue_page
from gcc_platform.watch.seen import Component, Queue, Seen
from gcc_platform.watch.window import Window
from ingest_service.broker.connection import CONNECTION_ERRORS, BrokerUnavailable, connected
from ingest_service.broker.queue_depth import QueueState, states
from ingest_service.broker.topology import UNROUTABLE_QUEUE
from ingest_service.events.registry import EVENT_TYPES

_NAME = "RabbitMQ"
_GROWS_SECONDS = 300
_GROWS_LEAST = 1_000
"""A shorter queue is the noise of batching: at 10,000 events a second it is a tenth of a second."""

_TYPES = {each.queue: each.name for each in EVENT_TYPES.values()} | {
    each.error_queue: each.name for each in EVENT_TYPES.values()
}
_ERROR_QUEUES = {each.error_queue for each in EVENT_TYPES.values()}


@dataclass
class BrokerProbe:
    """Looks at one broker. It remembers the depths of the last five minutes."""

    url: str
    virtual_host: str
    management_url: str
    """The management plugin's page, for links; empty if unknown."""
    clock: Callable[[], float]
    _depths: dict[str, Window] = field(default_factory=dict)

    async def look(self) -> Seen:
        """Log in, and query all queues."""
        try:
            async with connected(self.url, "gcc-platform watch") as connection:
                found = await states(connection, [UNROUTABLE_QUEUE, *_TYPES])
        except BrokerUnavailable as error:
            return _down(str(error))
        except CONNECTION_ERRORS as error:
            return _down(f"the connection failed: {error or type(error).__name__}")
        queues = tuple(
            Queue(name, _TYPES.get(name, ""), state.ready, state.consumers) for name, state in found.items() if state
        )
        for queue in queues:
            self._depths.setdefault(queue.queue, Window(_GROWS_SECONDS, self.clock)).add(queue.ready)
        component = Component(_NAME, "ok", f"{len(queues)} queues", self.management_url)
        return Seen(tuple(self._alerts(found, queues)), (component,), queues=queues)

    def _alerts(self, found: Mapping[str, QueueState | None], queues: tuple[Queue, ...]) -> Iterator[Alert]:
        for name, state in found.items():
            if state is None:
                yield self._alert("QueueMissing", name, f"RabbitMQ has no queue {name}")
        for queue in queues:
            if queue.queue == UNROUTABLE_QUEUE:
                yield from self._unroutable(queue)
            else:
                yield from self._unread(queue)
                yield from self._grows(queue)

    def _unroutable(self, queue: Queue) -> Iterator[Alert]:
        if queue.ready:
            yield self._alert(
                "UnroutableMessages", queue.queue, f"{queue.ready} messages have a routing key of no queue"
            )

    def _unread(self, queue: Queue) -> Iterator[Alert]:
        if queue.consumers == 0 and (queue.ready or queue.queue not in _ERROR_QUEUES):
            yield self._alert(
                "QueueWithoutConsumer",
                queue.queue,
                f"{queue.ready} messages wait in {queue.queue}, which nothing consumes",
            )

    def _grows(self, queue: Queue) -> Iterator[Alert]:
        depths = self._depths[queue.queue]
        if depths.is_full and depths.least >= _GROWS_LEAST and queue.ready >= depths.first:
            yield self._alert(
                "QueueGrows",
                queue.queue,
                f"{queue.ready} messages wait in {queue.queue}, {depths.first} did {_GROWS_SECONDS // 60} minutes ago",
            )

    def _alert(self, name: str, queue: str, summary: str) -> Alert:
        about = {"queue": queue} | ({"type": _TYPES[queue]} if queue in _TYPES else {})
        return Alert.of(KINDS[name], summary, link=self._link(queue), about=about)

    def _link(self, queue: str) -> str:
        return queue_page(self.management_url, self.virtual_host, queue) if self.management_url else ""


def _down(reason: str) -> Seen:
    found = Alert.of(KINDS["RabbitMQDown"], f"RabbitMQ: {reason}")
    return Seen((found,), (Component(_NAME, "down", reason),), complete=False)
