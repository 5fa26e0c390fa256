import json
from pathlib import Path

import pytest

from ingest_service.events.registry import EVENT_TYPES
from tests.ingest_service.letters.archiving import (
    Environment,
    archive_once,
    letter_headers,
    listed,
    put,
    replay,
    rows,
    waiting,
)
from tests.ingest_service.running import Table, eventually, run, service
from tests.ingest_service.test_service import order, publish

ORDERS = EVENT_TYPES["order_log"]


@pytest.fixture
def letters(environment: Environment) -> Environment:
    """Five archived letters of two types, two reasons and three days."""
    day = "2026-01-{}T12:00:00.000+00:00"
    put(environment, "order_log", [
        (b"\xffone", letter_headers("not_json", day.format(10))),
        (order(2), letter_headers("refused_by_table", day.format(11))),
        (order(3), letter_headers("refused_by_table", day.format(12))),
    ])  # fmt: skip
    put(environment, "asset_log", [
        (b"four", letter_headers("not_json", day.format(11))),
        (b"five", letter_headers("not_json", day.format(12))),
    ])  # fmt: skip
    assert archive_once(environment) == 5
    return environment


def counts(environment: Environment, *options: str) -> dict[tuple[str, str], int]:
    return {(group["event_type"], group["reason"]): group["letters"] for group in listed(environment, *options)}


def test_list_counts_by_type_and_reason_what_the_filters_leave(letters: Environment) -> None:
    assert counts(letters) == {
        ("asset_log", "not_json"): 2,
        ("order_log", "not_json"): 1,
        ("order_log", "refused_by_table"): 2,
    }
    assert counts(letters, "--since", "2026-01-11", "--until", "2026-01-12", "--reason", "not_json") == {
        ("asset_log", "not_json"): 1
    }
    (group,) = listed(letters, "--type", "order_log", "--reason", "not_json")
    shown = run(letters, "dead-letters", "list").stdout.decode()
    assert "2026-01-12 12:00:00Z" in shown
    assert group["newest"] in shown


def test_show_prints_one_letter_whole_and_its_body_byte_for_byte(letters: Environment) -> None:
    (group,) = listed(letters, "--type", "order_log", "--reason", "not_json")
    shown = run(letters, "dead-letters", "show", group["newest"]).stdout.decode()
    for part in ("order_log", "not_json", "it is so", "waiting", "file://", "x-gcc-first-rejected-at", "\\xffone"):
        assert part in shown
    assert run(letters, "dead-letters", "show", group["newest"], "--body").stdout == b"\xffone"
    unknown = run(letters, "dead-letters", "show", "00000000-0000-4000-8000-000000000000")
    assert unknown.returncode == 1
    assert "there is no archived dead letter 00000000-0000-4000-8000-000000000000" in unknown.stderr.decode()


def test_replay_publishes_what_the_filters_leave_once_and_a_dry_run_nothing(letters: Environment) -> None:
    done = run(letters, "dead-letters", "replay", "--dry-run", "--type", "order_log")
    assert "3 letters to publish again" in done.stderr.decode()
    assert waiting(letters, ORDERS.queue) == 0
    assert replay(letters, "--type", "order_log", "--reason", "refused_by_table", "--rate", "1000")[0] == 2
    assert waiting(letters, ORDERS.queue) == 2
    assert waiting(letters, EVENT_TYPES["asset_log"].queue) == 0
    count, said = replay(letters, "--type", "order_log")
    assert count == 1
    assert "left out: 2 replayed already, 0 failed again (--again takes them too)" in said
    states = {
        group["reason"]: (group["waiting"], group["replayed"]) for group in listed(letters, "--type", "order_log")
    }
    assert states == {"not_json": (0, 1), "refused_by_table": (0, 2)}


def test_a_letter_whose_cause_is_mended_lands_once_though_it_is_replayed_twice(
    environment: Environment, tmp_path: Path
) -> None:
    table = Table(environment, ORDERS.table)
    table.command("ALTER TABLE {} ADD CONSTRAINT one_store CHECK store != 'two'")
    with service(environment, tmp_path) as running:
        running.wait_ready()
        try:
            publish(environment, ORDERS.routing_key, order(1, store="two"), order(2))
            eventually(lambda: running.status("order_log")["dead_lettered"] == {"refused_by_table": 1})
        finally:
            table.command("ALTER TABLE {} DROP CONSTRAINT one_store")
        assert archive_once(environment) == 1
        assert replay(environment)[0] == 1
        eventually(lambda: table.count() == 2)
        assert replay(environment)[0] == 0
        assert replay(environment, "--again")[0] == 1
        eventually(lambda: running.status("order_log")["landed"] == 3)
    assert [row["store"] for row in table.rows()] == ["two", "one"]
    (group,) = listed(environment)
    assert (group["letters"], group["replayed"], group["failed_again"]) == (1, 1, 0)


def test_a_letter_that_fails_again_says_so_keeps_its_first_time_and_is_left_alone(
    environment: Environment, tmp_path: Path
) -> None:
    with service(environment, tmp_path) as running:
        running.wait_ready()
        publish(environment, ORDERS.routing_key, b"not json")
        eventually(lambda: waiting(environment, ORDERS.error_queue) == 1)
        assert archive_once(environment) == 1
        (before,) = rows(environment, "*")
        assert replay(environment)[0] == 1
        eventually(lambda: waiting(environment, ORDERS.error_queue) == 1)
        assert archive_once(environment) == 1
        (after,) = rows(environment, "*")
        assert (before["attempts"], after["attempts"]) == (1, 2)
        assert after["letter_id"] == before["letter_id"]
        assert after["first_rejected_at"] == before["first_rejected_at"] == before["last_rejected_at"]
        assert after["last_rejected_at"] > after["first_rejected_at"]
        assert json.loads(after["headers"])["x-gcc-replay"]
        count, said = replay(environment)
        assert (count, "1 failed again" in said) == (0, True)
        assert listed(environment)[0]["failed_again"] == 1
        assert running.status("order_log")["received"] == 2
        assert replay(environment, "--again")[0] == 1
        eventually(lambda: waiting(environment, ORDERS.error_queue) == 1)
        assert archive_once(environment) == 1
        assert rows(environment, "attempts") == [{"attempts": 3}]
        assert running.status("order_log")["received"] == 3
