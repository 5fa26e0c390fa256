"""Messages that cannot be stored, have no queue, are from tomorrow, or arrive twice; and types that stand still."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from ingest_service.events.contract import EXCHANGE
from tests.harness.management import escaped, management
from tests.harness.proxy import Proxy, through
from tests.harness.running import eventually, query, run
from tests.oncall.fault import Fault
from tests.oncall.platform import Platform
from tests.oncall.steady import SteadyPublisher

ORDER_QUEUE = "order_log_events_q"


def _message(platform: Platform, routing_key: str, body: str) -> None:
    """One message as a crawler may send it, whatever is in it."""
    message = {"properties": {}, "routing_key": routing_key, "payload": body, "payload_encoding": "string"}
    management(platform.environment, "POST", f"exchanges/%2F/{EXCHANGE}/publish", message)


def _purge(platform: Platform, queue: str) -> None:
    management(platform.environment, "DELETE", f"queues/%2F/{escaped(queue)}/contents")


def _order(**more: object) -> dict[str, object]:
    return {
        "event_id": str(uuid4()),
        "source": "test",
        "platform": "SHOPIFY",
        "platform_order_id": str(uuid4()),
        "store": "a",
        "event_timestamp": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        **more,
    }


def _unroutable(platform: Platform) -> None:
    for _ in range(3):
        _message(platform, "no_such_events", "{}")


def _dead_letters(platform: Platform) -> None:
    for _ in range(3):
        _message(platform, "asset_log_events", "not JSON")


def _garbage(platform: Platform) -> None:
    done = run(platform.environment, "publish", "order_log", "-", stdin=b"".join(b"{}\n" for _ in range(600)))
    assert done.returncode == 0, done.stderr.decode()


def _end_of_garbage(platform: Platform) -> None:
    platform.kill(platform.ingest)  # its share of dead letters is of the last thousand messages
    asyncio.run(_purge_what_was_given_back(platform))
    platform.start(platform.ingest)
    platform.restart_watch()  # to which the purged messages are missing


async def _purge_what_was_given_back(platform: Platform) -> None:
    """The broker gives back what a consumer that was killed had, and counts the consumer until then."""
    async with await aio_pika.connect(platform.environment["AMQP_URL"]) as connection:
        channel = await connection.channel()
        async with asyncio.timeout(60):
            # ASYNC110: the broker sends nothing when it has given messages back
            while (await channel.get_queue(ORDER_QUEUE)).declaration_result.consumer_count:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        await (await channel.get_queue(ORDER_QUEUE)).purge()


def _consume_elsewhere(platform: Platform) -> None:
    """Another consumer takes its share of a hundred messages."""
    asyncio.run(_consume_some(platform))


async def _consume_some(platform: Platform) -> None:
    async with await aio_pika.connect(platform.environment["AMQP_URL"]) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=20)
        queue = await channel.get_queue(ORDER_QUEUE)
        taken = asyncio.Semaphore(0)

        async def take(message: AbstractIncomingMessage) -> None:
            await message.ack()
            taken.release()

        await queue.consume(take)
        await asyncio.to_thread(platform.publish, "order_log", [_order() for _ in range(100)])
        async with asyncio.timeout(30):
            await taken.acquire()


def _from_tomorrow(platform: Platform) -> None:
    ahead = f"{datetime.now(UTC) + timedelta(minutes=10):%Y-%m-%d %H:%M:%S}"
    platform.publish("order_log", [_order(event_timestamp=ahead) for _ in range(20)])


def _three_times(platform: Platform) -> None:
    events = [_order() for _ in range(500)]
    for _ in range(3):
        platform.publish("order_log", events)


def _forget_orders(platform: Platform) -> None:
    """The checks look back fifteen minutes and more: without these rows they pass at once.

    To the watch, messages whose rows are gone from the ledger before it has counted them for good are missing.
    """
    url = platform.environment["CLICKHOUSE_URL"]
    counted = "SELECT max(landed_at) < now() - INTERVAL 80 SECOND FROM _e.ingest_batches WHERE type = 'order_log'"
    eventually(lambda: query(url, counted).strip() == "1", 200)
    query(url, "TRUNCATE TABLE _e.order_log_events")
    query(url, "DELETE FROM _e.ingest_batches WHERE type = 'order_log' SETTINGS lightweight_deletes_sync = 2")


def _sentiment(platform: Platform) -> None:
    """Publish one event of a type that no other fault uses."""
    event = {
        "event_id": str(uuid4()),
        "source": "test",
        "platform": "INSTAGRAM",
        "shortcode": "s1",
        "comment_id": str(uuid4()),
        "sentiment": "positive",
        "score": 1,
        "event_timestamp": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    }
    _message(platform, "sentiment_log_events", json.dumps(event))


CRAWLER = SteadyPublisher(_sentiment)
"""Of which it is known what is usual once it has run for more than two periods of five minutes."""


def _two_orders(platform: Platform) -> None:
    for _ in range(2):
        _message(platform, "order_log_events", json.dumps(_order()))


class _Overload:
    """A service whose inserts take ten seconds for ten messages, while two come every second."""

    def __init__(self) -> None:
        self._publisher = SteadyPublisher(_two_orders)
        self._way: Proxy | None = None

    def begin(self, platform: Platform) -> None:
        """Give the service a slow way to ClickHouse, and a queue to begin with."""
        url = platform.environment["CLICKHOUSE_URL"]
        self._way = Proxy("127.0.0.1", urlsplit(url).port or 0)
        self._way.delay(5)
        self._way.open()
        platform.kill(platform.ingest)
        platform.ingest.start({**platform.environment, "GCC_PREFETCH": "10", "CLICKHOUSE_URL": through(self._way, url)})
        platform.publish("order_log", [_order() for _ in range(1_500)])
        self._publisher.start(platform)

    def end(self, platform: Platform) -> None:
        """The service as it is otherwise. A type that stops after these minutes would be late."""
        self.stop()
        platform.kill(platform.ingest)
        platform.start(platform.ingest)
        eventually(lambda: not platform.get(platform.http, "/status")["types"]["order_log"]["in_flight"], 60)
        _forget_orders(platform)

    def stop(self) -> None:
        """Publish no more."""
        self._publisher.stop()
        if self._way:
            self._way.close()


OVERLOAD = _Overload()


def _usual_volume(platform: Platform) -> None:
    oldest = "SELECT min(landed_at) < now() - INTERVAL 11 MINUTE FROM _e.ingest_batches WHERE type = 'sentiment_log'"
    eventually(lambda: query(platform.environment["CLICKHOUSE_URL"], oldest).strip() == "1", 700)


def _rename_column(platform: Platform) -> None:
    query(platform.environment["CLICKHOUSE_URL"], "ALTER TABLE _e.order_log_events RENAME COLUMN source TO origin")
    platform.publish("order_log", [_order()])


def _rename_back(platform: Platform) -> None:
    query(platform.environment["CLICKHOUSE_URL"], "ALTER TABLE _e.order_log_events RENAME COLUMN origin TO source")


FAULTS = (
    Fault(
        "unroutable messages",
        _unroutable,
        lambda platform: _purge(platform, "beat.unroutable_q"),
        {"alertname": "UnroutableMessages", "severity": "warn", "team": "ingest", "queue": "beat.unroutable_q"},
        seconds=60,
        text="3 messages",
        is_quick=True,
    ),
    Fault(
        "dead letters",
        _dead_letters,
        lambda platform: platform.restart_watch(),  # they are reported for 15 minutes; a new watch counts from now on
        {"alertname": "DeadLetters", "severity": "warn", "team": "ingest", "type": "asset_log"},
        seconds=60,
        text="3 not_json",
        heals_within=420,
    ),
    Fault(
        "a publisher sends garbage only",
        _garbage,
        _end_of_garbage,
        {"alertname": "IngestHalted", "severity": "page", "team": "ingest", "type": "order_log"},
        seconds=60,
        text="too_many_dead_letters",
        heals_within=420,
    ),
    Fault(
        "something else consumes from a queue",
        _consume_elsewhere,
        lambda platform: platform.restart_watch(),  # they are reported for an hour; a new watch counts from now on
        {"alertname": "MessagesMissing", "severity": "page", "team": "ingest", "type": "order_log"},
        seconds=120,
        text="left the queue",
        heals_within=420,
    ),
    Fault(
        "a raw column is renamed",
        _rename_column,
        _rename_back,
        {"alertname": "IngestHalted", "severity": "page", "team": "ingest", "type": "order_log"},
        seconds=60,
        text="source",
        muted=(),
        heals_within=240,
    ),
    Fault(
        "events from the future",
        _from_tomorrow,
        _forget_orders,
        {"alertname": "CheckFailed", "check": "event_times", "asset": "raw/order_log_events", "team": "ingest"},
        seconds=120,
        text="20 events",
        heals_within=300,
    ),
    Fault(
        "everything published three times",
        _three_times,
        _forget_orders,
        {"alertname": "CheckFailed", "check": "duplicates", "asset": "raw/order_log_events"},
        seconds=120,
        text="repeat an event (",
        heals_within=300,
    ),
    Fault(
        "more is published than the service takes",
        OVERLOAD.begin,
        OVERLOAD.end,
        {"alertname": "QueueGrows", "severity": "warn", "team": "ingest", "queue": ORDER_QUEUE},
        seconds=360,
        text=f"messages wait in {ORDER_QUEUE}",
        heals_within=420,
    ),
    Fault(
        "a crawler stops sending a type",
        lambda _: CRAWLER.stop(),
        CRAWLER.start,
        {"alertname": "CheckFailed", "check": "volume", "asset": "raw/sentiment_log_events", "severity": "page"},
        seconds=360,
        text="are usual",
        heals_within=240,
        prepare=_usual_volume,
    ),
)
