"""The section of docs/benchmarks.md."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.benchmarks import report
from tests.benchmarks.migration import proof
from tests.benchmarks.migration.crawlers import Felt
from tests.benchmarks.migration.filling import Filled
from tests.benchmarks.migration.kills import Survived
from tests.benchmarks.migration.nightly import Cost, Night
from tests.benchmarks.migration.proof import Proof
from tests.benchmarks.migration.servers import CLICKHOUSE, OLD, STATE
from tests.benchmarks.migration.speed import Speed
from tests.benchmarks.migration.workers import CLIENT, Finished

Read = Callable[[str, Any], Any]
"""What a step has found, as a type; None if it has not run."""


def section(read: Read) -> tuple[str, bool]:
    """The text, and whether every row is there once and no worker gave up."""
    filled: Filled | None = read("fill", Filled)
    survived: Survived | None = read("kills", Survived)
    proven: tuple[Proof, Finished] | None = read("proof", tuple[Proof, Finished])
    night: Night | None = read("nightly", Night)
    parts = [
        "## Migration",
        f"Written by `make migration` on {datetime.now(UTC):%Y-%m-%d}; do not edit. The old PostgreSQL (shared_buffers "
        "1 GB, fsync on), ClickHouse, the platform's PostgreSQL and the workers share one machine with other work, so "
        "CPU and ratios say more than seconds.",
        f"Machine: {report.machine()}.",
    ]
    if filled:
        parts.append(
            f"The old database: {filled.rows:,} rows of {filled.years:g} years, half of them profile_log and half "
            f"post_log, 1 % of them with odd JSON, made in {filled.seconds:,.0f} s."
        )
    parts += _speeds(read("speed", list[Speed]))
    parts += _survived(survived, proven[0] if proven else None)
    parts += _crawlers(read("crawlers", dict[str, Felt]))
    parts += _night(night, proven[1] if proven else None)
    is_whole = (proven is None or proven[0].is_whole) and (survived is None or survived.gave_up == 0)
    return "\n\n".join(parts) + "\n", is_whole and all(
        cost.code == 0 for cost in (night.checks if night else {}).values()
    )


def _speeds(speeds: list[Speed] | None) -> list[str]:
    if not speeds:
        return []
    rows = [
        (
            str(each.workers), f"{each.rows:,}", f"{each.rate:,.0f}",
            *(f"{each.microseconds(name):.1f}" for name in (OLD, CLIENT, CLICKHOUSE)), f"{each.megabytes:.0f}",
        )
        for each in speeds
    ]  # fmt: skip
    head = ("workers", "rows", "rows/s", "CPU us/row: old PostgreSQL", "worker", "ClickHouse", "peak MB of a worker")
    return ["Undisturbed, a slice each; ClickHouse's CPU includes merges:", report.grid(head, rows)]


def _survived(survived: Survived | None, proven: Proof | None) -> list[str]:
    parts = []
    if survived:
        killed = ", ".join(f"{name} {count} times" for name, count in survived.kills.items())
        parts.append(
            f"Killed by SIGKILL at random while two worker processes brought {survived.rows:,} rows in "
            f"{survived.seconds:,.0f} s ({survived.rows / survived.seconds:,.0f} rows/s): {killed}. What was killed "
            f"was started again, nothing else was done. {survived.attempts:,} attempts for {survived.chunks:,} chunks; "
            f"{survived.gave_up} workers gave up."
        )
    if proven:
        rows = (
            ("rows in PostgreSQL", f"{proven.rows:,}"),
            ("of them rejected, each with its reason", proof.causes(proven.rejected)),
            ("distinct event_ids in ClickHouse", f"{proven.distinct:,}"),
            ("rows in ClickHouse, copies once", f"{proven.once:,}"),
            ("chunks sealed", f"{proven.sealed:,} of {proven.chunks:,}"),
            ("exit code of `check`, rows and totals", str(proven.code)),
            ("bytes in PostgreSQL, with indexes", f"{proven.postgres_bytes:,}"),
            ("bytes in ClickHouse", f"{proven.clickhouse_bytes:,}"),
        )
        parts += ["Afterwards:", report.grid(("", ""), rows)]
    return parts


def _crawlers(felt: dict[str, Felt] | None) -> list[str]:
    if not felt:
        return []
    rows = [
        (way, f"{each.inserts:,}", *(f"{value:.1f}" for value in (each.p50, each.p99, each.most)))
        for way, each in felt.items()
    ]
    return [
        "A crawler's INSERT of one row and its commit in the old database, milliseconds, in turns:",
        report.grid(("beside the backfill", "inserts", "p50", "p99", "longest"), rows),
    ]


def _night(night: Night | None, first: Finished | None) -> list[str]:
    if not night:
        return []
    costs: dict[str, Cost] = {f"tail, {night.new_rows:,} rows": night.tail, **night.checks}
    if first:
        costs["the first check: everything"] = Cost(first.seconds, first.cpu, first.code)
    rows = [
        (
            name,
            f"{cost.seconds:.1f}",
            *(f"{cost.cpu[side]:.1f}" for side in (OLD, CLIENT, CLICKHOUSE, STATE)),
            str(cost.code),
        )
        for name, cost in costs.items()
    ]
    return [
        f"A night: {night.new_rows:,} new rows beside {night.all_rows:,}, taken by the tail and compared by `check`, "
        "rows and totals; then the next night, without new rows. Seconds:",
        report.grid(("", "seconds", f"CPU {OLD}", "the command", CLICKHOUSE, STATE, "exit code"), rows),
    ]
