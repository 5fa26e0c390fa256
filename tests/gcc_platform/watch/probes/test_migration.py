"""What the watch sees of a migration: its tables, and daemons that have stopped."""

import asyncio
from collections.abc import Mapping

import psycopg

from gcc_platform.watch.probes import migration
from gcc_platform.watch.seen import Seen
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator, fill


def look(moving: Moving) -> Seen:
    return asyncio.run(migration.look(moving.state_url))


def firing(moving: Moving) -> list[tuple[str, Mapping[str, str]]]:
    return [(alert.kind.name, alert.about) for alert in look(moving).alerts]


def test_before_the_preparation_there_is_nothing_to_see(moving: Moving) -> None:
    assert look(moving) == Seen()


def test_a_server_that_is_away_is_no_finding_of_the_migration() -> None:
    assert asyncio.run(migration.look("postgresql://nobody@127.0.0.1:1/x")) == Seen(complete=False)


def test_a_table_of_series_has_no_tail_that_could_be_late(
    operator: Operator,
    moving: Moving,
    old: psycopg.Connection,
) -> None:
    fill(old, 10)
    operator.run("init", "profile_log")
    operator.run("backfill", "profile_log", "insta_account_ts")
    moving.note("UPDATE migration.tail SET looked_at = now() - interval '11 minutes'")
    assert [(each.table, each.tail_lag_seconds is None) for each in look(moving).tables] == [
        ("profile_log", False), ("insta_account_ts", True),
    ]  # fmt: skip
    assert firing(moving) == [("MigrationTailLate", {"table": "profile_log"})]


def test_tables_are_shown_and_daemons_that_stopped_and_red_gates_are_reported(
    operator: Operator,
    moving: Moving,
    old: psycopg.Connection,
) -> None:
    fill(old, 900)
    operator.run("init", "profile_log")
    operator.run("backfill", "profile_log")
    operator.run("tail", "profile_log", "--once")
    operator.run("reverse", "profile_log", "--once")
    operator.run("check", "profile_log")
    [shown] = look(moving).tables
    assert (shown.table, shown.phase, shown.chunks, shown.done, shown.sealed, shown.rows, shown.differences) == (
        ("profile_log", "legacy", 2, 2, 2, 900, 0)
    )
    assert not firing(moving)
    moving.note("INSERT INTO migration.phases VALUES ('profile_log', 'reads', clock_timestamp(), 'dual', 'x', '{}')")
    moving.note("UPDATE migration.tail SET looked_at = now() - interval '11 minutes'")
    moving.note("UPDATE migration.reverse SET moved_at = now() - interval '11 minutes'")
    moving.note("UPDATE migration.gate_results SET passed = false WHERE gate = 'totals_agree'")
    table = {"table": "profile_log"}
    red = ("MigrationGateRed", table)
    assert firing(moving) == [("MigrationTailLate", table), ("MigrationReverseLate", table), red]
    operator.run("tail", "profile_log", "--once")
    operator.run("reverse", "profile_log", "--once")
    assert firing(moving) == [red]
    moving.note("UPDATE migration.phases SET phase = 'done'")
    assert not firing(moving)
