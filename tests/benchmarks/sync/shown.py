"""The section of docs/benchmarks.md, with what was measured of the state before this sync."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.results import Figure
from tests.benchmarks.sync import copying
from tests.benchmarks.sync.all_marts import Round
from tests.benchmarks.sync.cost import CLIENT, Cost
from tests.benchmarks.sync.measurement import Measurement, kept
from tests.benchmarks.sync.refreshing import PARTS, Refreshed

BEFORE = Path(__file__).with_name("before.json")
"""Measured once by the same tool, when every mart that had changed was copied in full."""

_REFRESHES: dict[str, Callable[[Measurement], Refreshed]] = {
    "the first one": lambda found: found.first,
    "nothing new": lambda found: found.idle,
    "new events": lambda found: found.later,
}


def section(found: Measurement) -> str:
    """The text."""
    states = [state for state in (kept(BEFORE), found) if state is not None]
    parts = [
        "## Sync",
        _introduction(states[0], found),
        f"Machine: {report.machine()}.",
        "A whole `gcc-platform refresh`, and its parts, in seconds:",
        report.grid(
            ("refresh", "code", "s", *PARTS, *_COST, "syncs"),
            [(name, _code(each, found), *_refreshed(of(each))) for name, of in _REFRESHES.items() for each in states],
        ),
        f"The syncs of all {len(found.idle_syncs.marts)} marts by themselves, one after the other:",
        report.grid(
            ("syncs", "code", "s", "of which comparing", *_COST),
            [(name, _code(each, found), *_round(of(each))) for name, of in _ROUNDS.items() for each in states],
        ),
        "Each after the new events:",
        report.grid(("mart", "rows", "code", "mode", "s", "WAL MB", "sent MB"), _marts(states, found)),
        _equality(found),
        *_comparison(found),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(before: Measurement, found: Measurement) -> str:
    sizes = found.sizes
    return (
        f"Written by `make bench sync` on {found.at}; do not edit. {sizes.history:,} events of `make cost`, and "
        f"{sizes.new:,} new ones each time. `before` is commit {before.code}, measured on {before.at} by the same "
        "command. `load` is the number of processes that wanted one of the cores, other work on the machine included: "
        "where it differs, compare CPU and WAL, not seconds."
    )


_COST = ("CPU ClickHouse", "CPU PostgreSQL", "CPU client", "WAL MB", "load")
_ROUNDS: dict[str, Callable[[Measurement], Round]] = {
    "nothing new": lambda found: found.idle_syncs,
    "new events": lambda found: found.later_syncs,
}


def _code(state: Measurement, found: Measurement) -> str:
    return "now" if state is found else "before"


def _refreshed(done: Refreshed) -> tuple[str, ...]:
    modes = ", ".join(f"{count} {mode}" for mode, count in sorted(done.modes.items()))
    return f"{done.cost.seconds:.0f}", *(f"{done.parts[part]:.1f}" for part in PARTS), *_cost(done.cost), modes


def _round(done: Round) -> tuple[str, ...]:
    comparing = sum(each.compared_seconds for each in done.marts)
    return f"{done.cost.seconds:.1f}", f"{comparing:.1f}", *_cost(done.cost)


def _cost(cost: Cost) -> tuple[str, ...]:
    cpu = [f"{cost.cpu[name]:.1f}" for name in ("ClickHouse", "PostgreSQL", CLIENT)]
    return (*cpu, f"{cost.wal_bytes / 1e6:,.1f}", f"{cost.load:.0f}")


def _marts(states: Sequence[Measurement], found: Measurement) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for number, mart in enumerate(found.later_syncs.marts):
        for state in states:
            each = state.later_syncs.marts[number]
            megabytes = (f"{each.wal_bytes / 1e6:,.1f}", f"{each.sent_bytes / 1e6:,.1f}")
            rows.append(
                (mart.mart, f"{each.rows:,}", _code(state, found), each.mode, f"{each.seconds:.2f}", *megabytes)
            )
    return rows


def _equality(found: Measurement) -> str:
    equal = [each for each in found.equality if each.is_equal]
    different = ", ".join(each.mart for each in found.equality if not each.is_equal) or "none"
    return (
        f"Upserted, and equal to a full copy made afterwards by the number of rows and the sum of "
        f"hash_record_extended: {', '.join(f'{each.mart} ({each.rows:,} rows)' for each in equal) or 'none'}. "
        f"Different: {different}."
    )


def _comparison(found: Measurement) -> list[str]:
    if found.comparison is None:
        return []
    comparison = found.comparison
    limit = Figure([run.seconds for run in comparison.runs[copying.READY]]).median
    rows = []
    for name, runs in comparison.runs.items():
        seconds = Figure([run.seconds for run in runs])
        cpu = [
            Figure([run.cost.cpu[server] for run in runs]).shown(1) for server in ("ClickHouse", "PostgreSQL", CLIENT)
        ]
        grown = Figure([run.grown_megabytes for run in runs]).shown() if name != copying.READY else "-"
        rows.append((name, seconds.shown(1), f"{seconds.median / limit:.1f}", *cpu, grown))
    head = ("", "s", "times COPY of a ready file", "CPU ClickHouse", "CPU PostgreSQL", "CPU client", "MB grown by")
    return [
        f"{comparison.rows:,} rows of 15 columns from ClickHouse to PostgreSQL, until they are served, with primary "
        "key and ANALYZE where the tool makes them (dlt makes neither); the start of the process counts as CPU, and "
        "not as seconds:",
        report.grid(head, rows),
    ]
