import asyncio
import json
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractIncomingMessage

from ingest_service.broker.connection import connected
from ingest_service.broker.publisher import NotConfirmed, Publisher
from ingest_service.broker.topology import UNROUTABLE_QUEUE
from ingest_service.commands.simulator import Simulator
from ingest_service.events.contract import EXCHANGE
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.orders import order, publish
from tests.harness.proxy import Proxy, through
from tests.harness.running import Table, eventually, run, service

Environment = Mapping[str, str]


def messages(environment: Environment, queue: str) -> list[AbstractIncomingMessage]:
    """What a queue holds, left where it is."""

    async def get() -> list[AbstractIncomingMessage]:
        async with connected(environment["AMQP_URL"], "tests") as connection, connection.channel() as channel:
            source = await channel.get_queue(queue, ensure=False)
            found = []
            while (message := await source.get(fail=False)) is not None:
                found.append(message)
            return found

    return asyncio.run(get())


def ready_in_queue(environment: Environment, queue: str) -> int:
    async def declare() -> int:
        async with connected(environment["AMQP_URL"], "tests") as connection, connection.channel() as channel:
            return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count or 0

    return asyncio.run(declare())


def test_every_event_type_lands_in_its_table(environment: Environment, tmp_path: Path) -> None:
    simulator = Simulator(seed=3)
    with service(environment, tmp_path) as running:
        running.wait_ready()
        for name, event_type in EVENT_TYPES.items():
            publish(environment, event_type.routing_key, *(simulator.event(name) for _ in range(20)))
        for name, event_type in EVENT_TYPES.items():
            table = Table(environment, event_type.table)
            eventually(lambda table=table: table.count() == 20, what=f"{name}: {running.log.read_text()[-1500:]}")
            assert running.status(name)["dead_lettered"] == {}


def test_values_arrive_exactly_as_they_were_sent(environment: Environment, tmp_path: Path) -> None:
    metrics = '{"views": 9007199254740993, "huge": 123456789012345678901234567890, "rate": 0.10, "none": null}'
    dimensions = '{"bio": "tab\\t newline\\n quote\\" ünïcödé ✨ \\u0000", "is_verified": true}'
    replaced = b'"metrics": {"amount": 1}, "dimensions": {}'
    body = order(1).replace(replaced, f'"metrics": {metrics}, "dimensions": {dimensions}, "new_field": [1.50]'.encode())
    table = Table(environment, "_e.order_log_events")
    with service(environment, tmp_path) as running:
        running.wait_ready()
        publish(environment, "order_log_events", body)
        eventually(lambda: table.count() == 1, what=running.log.read_text())
    (row,) = table.rows()
    assert row["metrics"] == metrics
    assert row["dimensions"] == dimensions
    assert row["extra"] == '{"new_field":[1.50]}'
    assert row["event_id"] == "00000000-0000-4000-8000-000000000001"
    assert row["event_timestamp"] == "2026-01-15 09:30:00.000000"


def test_what_cannot_be_decoded_is_dead_lettered_with_its_reason_and_its_batch_mates_land(
    environment: Environment, tmp_path: Path
) -> None:
    table = Table(environment, "_e.order_log_events")
    with service(environment, tmp_path) as running:
        running.wait_ready()
        publish(environment, "order_log_events", order(1), b"not json", order(2, store=None), order(3))
        eventually(lambda: running.status("order_log")["in_flight"] == 0 and table.count() == 2)
        letters = {message.body: message.headers for message in messages(environment, "error.order_log_events_q")}
        assert running.status("order_log")["dead_lettered"] == {"not_json": 1, "invalid_field": 1}
    assert set(letters) == {b"not json", order(2, store=None)}
    assert letters[b"not json"]["x-gcc-reason"] == "not_json"
    assert "$.store" in str(letters[order(2, store=None)]["x-gcc-detail"])
    assert letters[b"not json"]["x-gcc-original-routing-key"] == "order_log_events"
    assert letters[b"not json"]["x-gcc-original-exchange"] == EXCHANGE
    assert ready_in_queue(environment, "order_log_events_q") == 0


@pytest.mark.parametrize("more", [b"}", b', "new_field": 1}'])
def test_a_row_that_clickhouse_refuses_is_alone_in_being_dead_lettered_as_it_was_received(
    environment: Environment, tmp_path: Path, more: bytes
) -> None:
    refused = order(50, store="closed")[:-1] + more
    bodies = [*map(order, range(50)), refused, *map(order, range(51, 99))]
    table = Table(environment, "_e.order_log_events")
    table.command("ALTER TABLE {} ADD CONSTRAINT open_store CHECK store != 'closed'")
    try:
        with service(environment, tmp_path) as running:
            running.wait_ready()
            publish(environment, "order_log_events", *bodies)
            eventually(lambda: table.count() == 98, what="the others land")
            eventually(lambda: running.status("order_log")["dead_lettered"] == {"refused_by_table": 1})
    finally:
        table.command("ALTER TABLE {} DROP CONSTRAINT open_store")
    (letter,) = messages(environment, "error.order_log_events_q")
    assert letter.body == refused


def test_what_the_table_reads_more_strictly_is_dead_lettered_with_its_place_and_its_batch_mates_land(
    environment: Environment, tmp_path: Path
) -> None:
    strict = [order(number, event_timestamp="2026-01-15t09:30:00z") for number in range(90)]
    table = Table(environment, "_e.order_log_events")
    with service(environment, tmp_path, GCC_DEAD_LETTER_SHARE="1") as running:
        running.wait_ready()
        publish(environment, "order_log_events", *strict, *map(order, range(100, 110)))
        eventually(lambda: running.status("order_log")["dead_lettered"] == {"invalid_field": 90})
        eventually(lambda: table.count() == 10)
    assert "at `$.event_timestamp`" in str(messages(environment, "error.order_log_events_q")[0].headers["x-gcc-detail"])


def test_a_batch_over_more_partitions_than_one_insert_may_have_lands_whole(
    environment: Environment, tmp_path: Path
) -> None:
    bodies = [order(n, event_timestamp=f"{1980 + n // 12}-{n % 12 + 1:02}-01 00:00:00") for n in range(300)]
    table = Table(environment, "_e.order_log_events")
    with service({**environment, "GCC_EARLIEST_EVENT": "1980-01-01"}, tmp_path) as running:
        running.wait_ready()
        publish(environment, "order_log_events", *bodies)
        eventually(lambda: table.count() == 300, what=running.log.read_text()[-2000:])
        assert running.status("order_log")["dead_lettered"] == {}


def test_a_missing_table_halts_its_own_type_only_and_heals_without_a_restart(
    environment: Environment, tmp_path: Path
) -> None:
    broken, whole = Table(environment, "_e.order_log_events"), Table(environment, "_e.asset_log_events")
    with service(environment, tmp_path) as running:
        running.wait_ready()
        broken.command("RENAME TABLE {} TO _e.order_log_events_away")
        try:
            publish(environment, "order_log_events", order(1))
            publish(environment, "asset_log_events", Simulator(seed=1).event("asset_log"))
            eventually(lambda: whole.count() == 1)
            why = eventually(lambda: running.obstacles().get("order_log"))
            assert why.startswith("halted")
            assert "order_log_events" in why
        finally:
            broken.command("RENAME TABLE _e.order_log_events_away TO {}")
        eventually(lambda: broken.count() == 1)
        running.wait_ready()
        assert running.status("order_log")["dead_lettered"] == {}


@pytest.mark.parametrize("statement", ["DROP COLUMN dimensions", "RENAME COLUMN dimensions TO away"])
def test_a_missing_column_halts_its_type_and_dead_letters_nothing(
    environment: Environment, tmp_path: Path, statement: str
) -> None:
    table = Table(environment, "_e.order_log_events")
    mended = "RENAME COLUMN away TO" if "away" in statement else "ADD COLUMN"
    kind = "" if "away" in statement else " String DEFAULT '{{}}' CODEC(ZSTD(1)) AFTER metrics"
    with service(environment, tmp_path) as running:
        running.wait_ready()
        table.command(f"ALTER TABLE {{}} {statement}")
        try:
            publish(environment, "order_log_events", *map(order, range(20)))
            why = eventually(lambda: running.obstacles().get("order_log"))
            assert why.startswith("halted: unknown_field")
        finally:
            table.command(f"ALTER TABLE {{}} {mended} dimensions{kind}")
        eventually(lambda: table.count() == 20)
        assert running.status("order_log")["dead_lettered"] == {}


def test_a_queue_that_is_deleted_is_waited_for_and_consumed_again_once_it_is_back(
    environment: Environment, tmp_path: Path
) -> None:
    async def delete() -> None:
        async with connected(environment["AMQP_URL"], "tests") as connection, connection.channel() as channel:
            await channel.queue_delete("order_log_events_q")

    table = Table(environment, "_e.order_log_events")
    with service(environment, tmp_path) as running:
        running.wait_ready()
        asyncio.run(delete())
        eventually(lambda: "gcc-ingest init creates it" in running.obstacles().get("order_log", ""))
        assert run(environment, "init").returncode == 0
        publish(environment, "order_log_events", order(1))
        eventually(lambda: table.count() == 1)
        running.wait_ready()


def test_a_connection_whose_other_end_vanishes_is_noticed_by_its_heartbeats(
    environment: Environment, tmp_path: Path
) -> None:
    parts = urlsplit(environment["AMQP_URL"])
    with Proxy(parts.hostname or "", parts.port or 0) as proxy:
        url = through(proxy, environment["AMQP_URL"]) + "?heartbeat=1"
        with service({**environment, "AMQP_URL": url}, tmp_path) as running:
            proxy.open()
            running.wait_ready()
            proxy.stall()
            eventually(lambda: "broker" in running.obstacles(), what=running.log.read_text()[-1500:])
            proxy.resume()
            running.wait_ready()


def test_messages_are_given_back_before_the_broker_runs_out_of_patience_and_land_once_it_can_be(
    environment: Environment, tmp_path: Path
) -> None:
    table = Table(environment, "_e.order_log_events")
    with service({**environment, "GCC_HOLD_SECONDS": "0.5"}, tmp_path) as running:
        running.wait_ready()
        table.command("RENAME TABLE {} TO _e.order_log_events_away")
        try:
            publish(environment, "order_log_events", *map(order, range(10)))
            eventually(lambda: running.status("order_log")["given_back"] >= 20, what="given back twice")
        finally:
            table.command("RENAME TABLE _e.order_log_events_away TO {}")
        eventually(lambda: table.count() == 10)
        eventually(lambda: running.status("order_log")["in_flight"] == 0)
        assert running.status("order_log")["dead_lettered"] == {}


def test_a_publisher_gone_bad_halts_its_type_instead_of_draining_the_queue_into_the_dead_letters(
    environment: Environment, tmp_path: Path
) -> None:
    table = Table(environment, "_e.order_log_events")
    bodies = [order(number, store=None) for number in range(150)]
    with service(environment, tmp_path) as running:
        running.wait_ready()
        publish(environment, "order_log_events", *map(order, range(50)), *bodies)
        why = eventually(lambda: running.obstacles().get("order_log"))
        assert "too_many_dead_letters" in why
        assert "GCC_DEAD_LETTER_SHARE" in why
        assert sum(running.status("order_log")["dead_lettered"].values()) <= 100
    with service({**environment, "GCC_DEAD_LETTER_SHARE": "1"}, tmp_path) as running:
        running.wait_ready()
        eventually(lambda: ready_in_queue(environment, "error.order_log_events_q") >= 150)
        eventually(lambda: running.status("order_log")["in_flight"] == 0)
        assert table.count() == 50
    # Some may be there twice: published before the service was killed, and not yet acknowledged.
    letters = messages(environment, "error.order_log_events_q")
    assert {letter.body for letter in letters} == set(bodies)
    assert len({letter.headers["x-gcc-letter-id"] for letter in letters}) == 150


def test_sigterm_flushes_what_is_buffered_and_exits_0(environment: Environment, tmp_path: Path) -> None:
    table = Table(environment, "_e.order_log_events")
    with service(environment, tmp_path, GCC_FLUSH_SECONDS="3600") as running:
        running.wait_ready()
        publish(environment, "order_log_events", *(order(n) for n in range(100)))
        eventually(lambda: running.status("order_log")["received"] == 100)
        assert table.count() == 0
        assert running.terminate() == 0
    assert table.count() == 100
    assert ready_in_queue(environment, "order_log_events_q") == 0


def test_sigterm_at_any_moment_of_the_start_is_obeyed(environment: Environment, tmp_path: Path) -> None:
    publish(environment, "order_log_events", *map(order, range(10)))
    with service(environment, tmp_path) as running:
        for number in range(6):
            eventually(lambda: running.get("/heartbeat")[0] == 200)
            time.sleep(0.07 * number)  # the moment is what varies
            assert running.terminate() == 0, running.log.read_text()[-1500:]
            running.restart()
        running.wait_ready()
        eventually(lambda: Table(environment, "_e.order_log_events").count() == 10)


def test_sigkill_with_a_full_buffer_loses_nothing(environment: Environment, tmp_path: Path) -> None:
    table = Table(environment, "_e.order_log_events")
    with service(environment, tmp_path, GCC_FLUSH_SECONDS="3600") as running:
        running.wait_ready()
        publish(environment, "order_log_events", *(order(n) for n in range(100)))
        eventually(lambda: running.status("order_log")["received"] == 100)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    assert table.count() == 0
    with service(environment, tmp_path) as running:
        running.wait_ready()
        eventually(lambda: table.count() == 100)
        assert running.status("order_log")["redelivered"] == 100


@pytest.mark.parametrize("variable", ["AMQP_URL", "CLICKHOUSE_URL"])
def test_a_server_that_is_down_at_start_is_waited_for_and_named(
    environment: Environment, tmp_path: Path, variable: str
) -> None:
    parts = urlsplit(environment[variable])
    publish(environment, "order_log_events", order(1))
    with (
        Proxy(parts.hostname or "", parts.port or 0) as proxy,
        service({**environment, variable: through(proxy, environment[variable])}, tmp_path) as running,
    ):
        name = {"AMQP_URL": "broker", "CLICKHOUSE_URL": "clickhouse"}[variable]
        why = eventually(lambda: running.obstacles().get(name, "").startswith(variable) and running.obstacles()[name])
        assert f"127.0.0.1:{proxy.port}" in why
        assert (parts.password or "-") not in running.log.read_text()
        assert running.get("/heartbeat")[0] == 200
        proxy.open()
        running.wait_ready()
        eventually(lambda: Table(environment, "_e.order_log_events").count() == 1)


@pytest.mark.parametrize("variable", ["AMQP_URL", "CLICKHOUSE_URL"])
def test_a_connection_that_is_cut_is_made_again_and_nothing_is_lost_or_dead_lettered(
    environment: Environment, tmp_path: Path, variable: str
) -> None:
    parts = urlsplit(environment[variable])
    table = Table(environment, "_e.order_log_events")
    with (
        Proxy(parts.hostname or "", parts.port or 0) as proxy,
        service({**environment, variable: through(proxy, environment[variable])}, tmp_path) as running,
    ):
        proxy.open()
        running.wait_ready()
        publish(environment, "order_log_events", *(order(n) for n in range(50)))
        proxy.close()
        publish(environment, "order_log_events", *(order(n) for n in range(50, 100)))
        eventually(lambda: running.get("/ready")[0] == 503, what="the cut is noticed")
        proxy.open()
        eventually(lambda: table.count() == 100, what=running.log.read_text()[-2000:])
        running.wait_ready()
        assert running.status("order_log")["dead_lettered"] == {}


@pytest.mark.parametrize("variable", ["AMQP_URL", "CLICKHOUSE_URL"])
def test_a_wrong_password_names_the_urls_user_and_not_the_password(
    environment: Environment, tmp_path: Path, variable: str
) -> None:
    parts = urlsplit(environment[variable])
    wrong = urlunsplit(parts._replace(netloc=f"{parts.username}:wr0ng-s3cret@{parts.hostname}:{parts.port}"))
    with service({**environment, variable: wrong}, tmp_path) as running:
        name = {"AMQP_URL": "broker", "CLICKHOUSE_URL": "clickhouse"}[variable]
        why = eventually(lambda: "refused" in running.obstacles().get(name, "") and running.obstacles()[name])
        assert f"{parts.username}@{parts.hostname}:{parts.port}" in why
        assert "wr0ng-s3cret" not in running.log.read_text() + running.get("/status")[1]


def test_a_message_with_an_unknown_routing_key_is_kept_aside_instead_of_dropped(environment: Environment) -> None:
    async def send() -> None:
        async with connected(environment["AMQP_URL"], "tests") as connection, connection.channel() as channel:
            exchange = await channel.get_exchange(EXCHANGE, ensure=False)
            await exchange.publish(Message(b"lost?"), "no_such_events")

    asyncio.run(send())
    assert [message.body for message in messages(environment, UNROUTABLE_QUEUE)] == [b"lost?"]


def test_publishing_where_no_queue_is_bound_is_an_error(environment: Environment) -> None:
    async def send() -> None:
        async with connected(environment["AMQP_URL"], "tests") as connection, connection.channel() as channel:
            queue = await channel.get_queue(UNROUTABLE_QUEUE, ensure=False)
            await queue.unbind("beat.unroutable", "")
            try:
                async with Publisher(environment["AMQP_URL"], "tests") as publisher:
                    await publisher.publish("no_such_events", [b"x"])
            finally:
                await queue.bind("beat.unroutable", "")

    with pytest.raises(NotConfirmed, match="no_such_events"):
        asyncio.run(send())


def test_metrics_count_what_happened(environment: Environment, tmp_path: Path) -> None:
    with service(environment, tmp_path) as running:
        running.wait_ready()
        publish(environment, "order_log_events", order(1), b"not json")
        eventually(
            lambda: running.status("order_log")["batches"] >= 1 and running.status("order_log")["in_flight"] == 0
        )
        metrics = running.get("/metrics")[1]
    assert 'gcc_ingest_received_total{type="order_log"} 2.0' in metrics
    assert 'gcc_ingest_landed_total{type="order_log"} 1.0' in metrics
    assert 'gcc_ingest_dead_letters_total{reason="not_json",type="order_log"} 1.0' in metrics
    assert "gcc_ingest_ready 1.0" in metrics


def test_no_payload_gets_into_the_log_or_the_status_whatever_is_wrong_with_it(
    environment: Environment, tmp_path: Path
) -> None:
    table = Table(environment, "_e.affiliate_order_events")
    fields = {"order_id": "A", "status": "new", "currency": "INR", "updated_at": "2026-01-15 09:30:00"}
    event = {**json.loads(order(1, dimensions={"bio": "PAYLOAD"})), **fields}
    del event["platform_order_id"]
    refused = json.dumps({**event, "amount": 1e60}).encode()
    with service(environment, tmp_path) as running:
        running.wait_ready()
        broken = [json.dumps({**event, "amount": "PAYLOAD"}).encode(), b'{"PAYLOAD', b'{"a": "PAYLOAD\xff"}']
        publish(environment, "affiliate_order_events", refused, *broken)
        eventually(lambda: sum(running.status("affiliate_order")["dead_lettered"].values()) == 4)
        table.command("ALTER TABLE {} DROP COLUMN dimensions")
        try:
            publish(environment, "affiliate_order_events", json.dumps({**event, "amount": 1}).encode())
            eventually(lambda: "affiliate_order" in running.obstacles())
            assert "PAYLOAD" not in running.get("/status")[1]
        finally:
            table.command("ALTER TABLE {} ADD COLUMN dimensions String DEFAULT '{{}}' CODEC(ZSTD(1)) AFTER metrics")
        eventually(lambda: table.count() == 1)
    assert "PAYLOAD" not in running.log.read_text()
