"""What RabbitMQ counts and what the ledger has, on the real servers: they agree, until messages go elsewhere."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import aio_pika
import pytest

from gcc_platform.watch.http_client import http_session
from gcc_platform.watch.probes.accounts import AccountsProbe
from gcc_platform.watch.seen import Reconciliation, Seen
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.emptied import empty
from tests.harness.management import management
from tests.harness.orders import order, publish
from tests.harness.running import eventually, query, run, service

ORDERS = "order_log_events"
QUEUE = "order_log_events_q"
Environment = Mapping[str, str]


class Looks:
    """Looks of one probe, by a clock that a test moves."""

    def __init__(self, environment: Environment) -> None:
        self._now = 1_000.0
        self._probe = AccountsProbe(
            environment["RABBITMQ_MANAGEMENT_URL"], "/", environment["GCC_SYNC_CLICKHOUSE_URL"], lambda: self._now
        )

    def next(self, seconds: float = 0) -> Seen:
        """One look, so many seconds later."""
        self._now += seconds
        return asyncio.run(look(self._probe))

    def until(self, *counts: int) -> Reconciliation:
        """Look until the broker's statistics have caught up: confirmed, stored, dead letters, waiting."""
        found = orders(self.next())

        def has_caught_up() -> bool:
            nonlocal found
            found = orders(self.next())
            return (found.confirmed, found.landed, found.dead_letters, found.waiting) == counts

        eventually(has_caught_up, 60)
        return found

    def rest(self) -> Seen:
        """Looks by which what is missing must be found."""
        for _ in range(8):
            self.next(15)
        return self.next(15)


async def look(probe: AccountsProbe) -> Seen:
    async with http_session() as session:
        return await probe.look(session)


def orders(seen: Seen) -> Reconciliation:
    [found] = [each for each in seen.reconciliation if each.event_type == "order_log"]
    return found


@pytest.fixture
def environment(stack: Environment) -> Environment:
    assert run(stack, "init").returncode == 0
    empty(stack)
    return stack


@pytest.fixture
def looks(environment: Environment) -> Looks:
    eventually(lambda: are_known_to_be_empty(Looks(environment).next()), 60, "the broker's statistics are up to date")
    found = Looks(environment)
    found.rest()
    return found


def are_known_to_be_empty(seen: Seen) -> bool:
    return [each.waiting for each in seen.reconciliation] == [0] * len(EVENT_TYPES)


def test_confirmed_is_what_landed_and_what_became_dead_letters(
    environment: Environment, looks: Looks, tmp_path: Path
) -> None:
    with service(environment, tmp_path) as running:
        running.wait_ready()
        publish(environment, ORDERS, *map(order, range(100)), b"not JSON", b"{}")
        found = looks.until(102, 100, 2, 0)
    assert found.difference == 0
    assert looks.rest().alerts == ()


def test_what_waits_is_accounted_for(environment: Environment, looks: Looks) -> None:
    publish(environment, ORDERS, *map(order, range(30)))
    assert looks.until(30, 0, 0, 30).difference == 0
    assert looks.rest().alerts == ()


def test_messages_that_something_else_consumed_are_missing_with_their_number(
    environment: Environment, looks: Looks, tmp_path: Path
) -> None:
    publish(environment, ORDERS, *map(order, range(30)))
    asyncio.run(consume(environment, 12))
    with service(environment, tmp_path) as running:
        running.wait_ready()
        assert looks.until(30, 18, 0, 0).difference == 12
    [alert] = looks.rest().alerts
    assert alert.labels["alertname"] == "MessagesMissing"
    assert alert.labels["type"] == "order_log"
    assert "at least 12 messages left the queue" in alert.summary


async def consume(environment: Environment, count: int) -> None:
    async with await aio_pika.connect(environment["AMQP_URL"]) as connection:
        queue = await (await connection.channel()).get_queue(QUEUE)
        for _ in range(count):
            await (await queue.get()).ack()


def test_a_queue_that_was_only_read_has_confirmed_nothing(environment: Environment, looks: Looks) -> None:
    """RabbitMQ's statistics of such a queue are an empty list where they are an object otherwise."""
    asyncio.run(read_nothing(environment))
    assert orders(looks.next()).confirmed == 0


async def read_nothing(environment: Environment) -> None:
    statistics = f"queues/%2F/{QUEUE}?columns=message_stats.get_empty"
    async with await aio_pika.connect(environment["AMQP_URL"]) as connection:
        found = await (await connection.channel()).get_queue(QUEUE)
        assert await found.get(fail=False) is None
        await asyncio.to_thread(eventually, lambda: "get_empty" in str(management(environment, "GET", statistics)), 60)


def test_rows_that_did_not_come_through_the_broker_do_not_count(environment: Environment, looks: Looks) -> None:
    rows = (
        "INSERT INTO _e.order_log_events (event_id, platform, platform_order_id, store, event_timestamp) "
        "SELECT generateUUIDv4(), 'SHOPIFY', toString(number), 's', now64(6) FROM numbers(7)"
    )
    query(environment["CLICKHOUSE_URL"], rows)
    assert orders(looks.next()).landed == 0


def test_a_broker_that_does_not_answer_is_reported_by_its_own_probe(environment: Environment) -> None:
    url = environment["GCC_SYNC_CLICKHOUSE_URL"]
    assert asyncio.run(look(AccountsProbe("http://127.0.0.1:1", "/", url, lambda: 0.0))) == Seen(complete=False)
