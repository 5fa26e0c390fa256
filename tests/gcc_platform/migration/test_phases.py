"""Tables go from phase to phase when every gate is green, and back when going back loses nothing."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from gcc_platform.migration.identity import Origin
from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.phases.required import REQUIRED
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator, fill
from tests.gcc_platform.migration.test_commands import RAW
from tests.gcc_platform.migration.test_reverse import Event, arrive, event
from tests.harness.running import query

TABLE = "profile_log"
LISTS = ("metrics", "dimensions")


def snapshot(at: str) -> Event:
    """An event as the SDK makes it: with the handle among its columns."""
    return event(event_timestamp=at, handle=json.loads(event()["dimensions"])["handle"])


def write_both(moving: Moving, old: psycopg.Connection, rows: int = 20, **changed: Any) -> Sequence[str]:
    """Snapshots of crawlers that write both, an hour ago; `changed` are values of the events only."""
    events = []
    for n in range(rows):
        at = moving.minutes_ago(60 + n)
        values = snapshot(at)
        lists = [Jsonb([{"key": k, "value": v} for k, v in json.loads(values[name]).items()]) for name in LISTS]
        old.execute(
            "INSERT INTO profile_log (platform, profile_id, source, metrics, dimensions, timestamp, event_id) "
            "VALUES ('INSTAGRAM', 'p1', 'graphapi', %s, %s, %s, %s)",
            [*lists, at, values["event_id"]],
        )
        events.append(values | changed)
    arrive(moving, events)
    return [each["event_id"] for each in events]


@pytest.fixture
def ready(operator: Operator, moving: Moving, old: psycopg.Connection) -> Operator:
    """A table that is backfilled and written to by both, in the phase dual, with all gates but the marts' measured."""
    fill(old, 900)
    old.execute("DROP TABLE insta_account_ts")  # these crawlers write none
    operator.run("init")
    operator.run("backfill", TABLE)
    write_both(moving, old)
    operator.run("advance", TABLE, "dual")
    check(operator)
    moving.agree_on_marts(TABLE)
    return operator


def check(operator: Operator, code: int = 0) -> None:
    operator.run("tail", TABLE, "--once")
    operator.run("reverse", TABLE, "--once")
    operator.run("check", TABLE, "--level", "rows", code=code)
    operator.run("check", TABLE, "--level", "totals", code=code)


def advance(operator: Operator, phase: str, *, red: Sequence[str] = ()) -> dict[str, Any]:
    found = json.loads(operator.run("advance", TABLE, phase, "--json", code=1 if red else 0))
    assert [each["gate"] for each in found["gates"] if not each["passed"]] == list(red)
    return dict(found)


def test_a_table_goes_through_every_phase_to_the_end_and_back(ready: Operator, moving: Moving) -> None:
    advance(ready, "verified")
    advance(ready, "reads")
    ready.run("back", TABLE, "dual", "--drill")
    advance(ready, "events")
    check(ready)
    moving.agree_on_marts(TABLE)
    advance(ready, "done")
    assert "set GCC_LEGACY_WRITES=both" in ready.run("back", TABLE, "reads")
    assert ready.status()[0]["phase"] == "reads"
    steps = moving.noted(
        "SELECT came_from, phase, evidence <> '{}', entered_by <> '' FROM migration.phases ORDER BY entered_at"
    )
    assert [(before, after) for before, after, _, _ in steps] == [
        ("legacy", "dual"), ("dual", "verified"), ("verified", "reads"), ("reads", "events"), ("events", "done"),
        ("done", "reads"),
    ]  # fmt: skip
    assert all(evidence and by for _, _, evidence, by in steps)


def unprepared(moving: Moving, old: psycopg.Connection) -> None:
    old.execute("DROP INDEX profile_log_event_id")


def rejected(moving: Moving, old: psycopg.Connection) -> None:
    moving.note(
        "INSERT INTO migration.rejected (legacy_table, id, reason, detail) VALUES ('profile_log', 1, 'no_time', '')"
    )


def unsealed(moving: Moving, old: psycopg.Connection) -> None:
    moving.note("UPDATE migration.chunks SET sealed_at = NULL WHERE first_id = 1")


def long_transaction(moving: Moving, old: psycopg.Connection) -> None:
    moving.note("INSERT INTO migration.gaps VALUES ('profile_log', 5, 5, now() - interval '2 hours')")


def silent_tail(moving: Moving, old: psycopg.Connection) -> None:
    moving.note("UPDATE migration.tail SET looked_at = now() - interval '11 minutes'")


def dead_letter(moving: Moving, old: psycopg.Connection) -> None:
    query(
        moving.ingest_url,
        "INSERT INTO _e.dead_letter_events (letter_id, event_type, reason, attempts, body_base64) "
        "VALUES (generateUUIDv4(), 'profile_log', 'not_json', 1, base64Encode('x'))",
    )


@pytest.mark.parametrize(
    ("plant", "red"),
    [
        (unprepared, "prepared"),
        (rejected, "backfill_sealed"),
        (unsealed, "backfill_sealed"),
        (long_transaction, "tail_caught_up"),
        (silent_tail, "tail_caught_up"),
        (dead_letter, "dead_letters_empty"),
    ],
)
def test_a_gate_that_is_measured_refuses_the_next_phase_with_its_numbers(
    ready: Operator, moving: Moving, old: psycopg.Connection, plant: Callable[..., None], red: str
) -> None:
    plant(moving, old)
    found = advance(ready, "verified", red=[red])
    [reason] = [each["reason"] for each in found["gates"] if each["gate"] == red]
    assert any(word.isdigit() for word in reason.split()) or "profile_log_event_id" in reason
    assert "is refused by" in ready.run("advance", TABLE, "verified", code=1)
    assert ready.status()[0]["phase"] == "dual"


def lost(moving: Moving, old: psycopg.Connection) -> None:
    at = moving.minutes_ago(30)
    old.execute(
        "INSERT INTO profile_log (platform, profile_id, timestamp, event_id) VALUES ('INSTAGRAM', 'p', %s, %s)",
        [at, uuid4()],
    )


def changed(moving: Moving, old: psycopg.Connection) -> None:
    write_both(moving, old, 1, source="another")


def deleted(moving: Moving, old: psycopg.Connection) -> None:
    where = f"event_id = '{Origin(1, 0, 700).event_id()}'"
    query(moving.ingest_url, f"ALTER TABLE {RAW} DELETE WHERE {where} SETTINGS mutations_sync = 2")


@pytest.mark.parametrize(
    ("plant", "red"),
    [
        (lost, ["rows_explained", "nothing_lost_before_the_broker"]),
        (changed, ["rows_explained"]),
        (deleted, ["backfill_sealed", "totals_agree", "rows_explained"]),
    ],
)
def test_a_gate_that_a_check_decides_refuses_the_next_phase(
    ready: Operator, moving: Moving, old: psycopg.Connection, plant: Callable[..., None], red: Sequence[str]
) -> None:
    plant(moving, old)
    ready.run("check", TABLE, "--all", code=1)
    advance(ready, "verified", red=red)


def test_what_was_repaired_was_lost_before_the_broker_all_the_same(
    ready: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    lost(moving, old)
    ready.run("check", TABLE, code=1)
    ready.run("repair", TABLE)
    ready.setting("GCC_MIGRATION_DAYS", "7")
    ready.run("check", TABLE)
    found = json.loads(ready.run("advance", TABLE, "verified", "--json", code=1))
    reasons = {each["gate"]: each["reason"] for each in found["gates"]}
    assert reasons["nothing_lost_before_the_broker"].startswith("green for 0.0 of 7 days")


def test_a_gate_counts_after_days_without_a_red_result_or_a_pause(ready: Operator, moving: Moving) -> None:
    ready.setting("GCC_MIGRATION_DAYS", "7")
    by_days = [gate for gate in REQUIRED[Phase.VERIFIED] if gate != "prepared"]
    advance(ready, "verified", red=by_days)
    nights = "migration.gate_results, generate_series(1, 8) AS n"
    columns = "legacy_table, gate, at - n * interval '1 day', passed, reason, detail"
    moving.note(f"INSERT INTO migration.gate_results SELECT {columns} FROM {nights}")
    advance(ready, "verified")
    ready.run("back", TABLE, "dual")
    moving.note(
        "UPDATE migration.gate_results SET passed = false "
        "WHERE gate = 'totals_agree' AND at < now() - interval '2 days' AND at > now() - interval '3 days'"
    )
    advance(ready, "verified", red=["totals_agree"])
    moving.note("DELETE FROM migration.gate_results WHERE gate = 'rows_explained' "
                "AND at < now() - interval '2 hours' AND at > now() - interval '3 days'")  # fmt: skip
    advance(ready, "verified", red=["totals_agree", "rows_explained"])


def test_a_gate_that_is_measured_after_a_pause_is_green_since_then_only(ready: Operator, moving: Moving) -> None:
    ready.setting("GCC_MIGRATION_DAYS", "7")
    columns = "legacy_table, gate, at - n * interval '1 day', passed, reason, detail"
    nights = "migration.gate_results, generate_series(1, 10) AS n"
    moving.note(f"INSERT INTO migration.gate_results SELECT {columns} FROM {nights}")
    moving.note(
        "DELETE FROM migration.gate_results WHERE gate = 'backfill_sealed' AND at > now() - interval '47 hours'"
    )
    found = advance(ready, "verified", red=["backfill_sealed"])
    assert "green for 0.0 of 7 days" in str(found)


def test_results_that_are_older_than_a_night_do_not_count(ready: Operator, moving: Moving) -> None:
    moving.note("UPDATE migration.gate_results SET at = at - interval '2 days' WHERE gate = 'marts_agree'")
    found = advance(ready, "verified", red=["marts_agree"])
    assert "measured 48 hours ago: check it again" in str(found)


def test_a_dry_run_decides_and_changes_nothing(ready: Operator, moving: Moving) -> None:
    everything = "SELECT (SELECT count(*) FROM migration.phases), (SELECT count(*) FROM migration.gate_results)"
    before = moving.noted(everything)
    assert "profile_log: dual -> verified is possible" in ready.run("advance", TABLE, "verified", "--dry-run")
    ready.run("back", TABLE, "legacy", "--dry-run")
    ready.run("back", TABLE, "legacy", "--drill", "--dry-run")
    assert moving.noted(everything) == before


def test_phases_are_entered_one_by_one(ready: Operator) -> None:
    assert "profile_log is in the phase dual: the next one is verified, not events" in ready.run(
        "advance", TABLE, "events", code=1
    )
    assert "reads is not before it" in ready.run("back", TABLE, "reads", code=1)


def test_crawlers_write_rows_until_a_rollback_was_tried_and_readers_have_switched(ready: Operator) -> None:
    advance(ready, "verified")
    advance(ready, "reads")
    ready.setting("GCC_LEGACY_TABLES", "profile_log")
    advance(ready, "events", red=["rollback_tried", "reads_switched"])


def test_a_drill_finds_a_row_that_events_cannot_restore(
    ready: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    assert "20 rows of crawlers that write both: 0 differ" in ready.run("back", TABLE, "dual", "--drill")
    write_both(moving, old, 2, metrics='{"followers": 8}')
    lost(moving, old)
    assert "23 rows of crawlers that write both: 3 differ" in ready.run("back", TABLE, "dual", "--drill", code=1)
    assert old.execute("SELECT count(*) FROM profile_log").fetchone() == (923,)


def test_nobody_goes_back_from_events_without_a_reverse_writer_that_runs(ready: Operator, moving: Moving) -> None:
    moving.note("INSERT INTO migration.phases VALUES ('profile_log', 'events', clock_timestamp(), 'reads', 'x', '{}')")
    moving.note("UPDATE migration.reverse SET moved_at = now() - interval '20 minutes'")
    assert "is refused by reverse_caught_up" in ready.run("back", TABLE, "reads", code=1)
    ready.run("reverse", TABLE, "--once")
    ready.run("back", TABLE, "reads")


def test_writers_of_the_old_table_are_seen_beside_the_reverse_writer(
    ready: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    moving.note("INSERT INTO migration.phases VALUES ('profile_log', 'events', clock_timestamp(), 'reads', 'x', '{}')")
    old.execute("SELECT pg_stat_force_next_flush()")
    check(ready)
    arrive(moving, [snapshot(moving.minutes_ago(40)) for _ in range(5)])
    check(ready)
    moving.agree_on_marts(TABLE)
    ready.run("back", TABLE, "dual", "--drill")
    advance(ready, "done")
    ready.run("back", TABLE, "events")
    fill(old, 3)
    old.execute("SELECT pg_stat_force_next_flush()")
    ready.run("tail", TABLE, "--once")
    found = advance(ready, "done", red=["old_writers_gone"])
    assert "have inserted 3 rows (of which 0 may be its own), the tail has taken 3" in found["gates"][-2]["reason"]
