"""The section of docs/benchmarks.md, and whether everything holds."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.benchmarks import report
from tests.sync_proof.histories import History
from tests.sync_proof.kills import Killed
from tests.sync_proof.planted import Gone
from tests.sync_proof.readers import Read
from tests.sync_proof.reading import CONTROL

Keep = Callable[[str, Any], Any]
"""What a step has found, as a type; None if it has not run."""


def section(read: Keep) -> tuple[str, bool]:
    """The text, and whether all of it holds."""
    histories: list[History] | None = read("histories", list[History])
    killed: list[Killed] | None = read("kills", list[Killed])
    restarts: dict[str, int] | None = read("restart", dict[str, int])
    readers: Read | None = read("readers", Read)
    planted: list[Gone] | None = read("planted", list[Gone])
    parts = [
        "## Proof of the sync",
        f"Written by `make sync-proof` on {datetime.now(UTC):%Y-%m-%d}; do not edit. Both servers, the readers and "
        "other work share one machine.",
        f"Machine: {report.machine()}.",
        *_histories(histories, restarts),
        *_kills(killed),
        *_readers(readers),
        *_planted(planted),
    ]
    holds = (
        (readers is None or readers.is_undisturbed)
        and all(each.is_healed for each in planted or ())
        and not any((restarts or {}).values())
    )
    return "\n\n".join(parts) + "\n", holds


def _histories(found: list[History] | None, restarts: Mapping[str, int] | None) -> list[str]:
    if not found:
        return []
    modes = _summed([each.modes for each in found])
    made = _summed([each.changes for each in found])
    text = (
        f"{len(found)} random histories (seeds {', '.join(str(each.seed) for each in found)}), "
        f"{sum(each.syncs for each in found)} syncs: {_listed(modes)}. After each of them, PostgreSQL served the rows "
        "of the mart, value by value, by an oracle that reads both servers into Python; none reported a difference "
        f"that nobody had made; one table was left. Changes before them: {_listed(made)}. Somebody wrote to PostgreSQL "
        f"{sum(each.by_hand for each in found)} times: all of it was gone after "
        f"{max(each.most_syncs_to_heal for each in found)} syncs at the latest."
    )
    if restarts:
        text += f" Rows wrong after TRUNCATE and a restart of ClickHouse: {_listed(restarts)}."
    return [text]


def _kills(found: list[Killed] | None) -> list[str]:
    if not found:
        return []
    rows = [(each.scenario, each.way, str(each.statements), str(each.kills), str(each.queries)) for each in found]
    return [
        "Syncs stopped at each of their statements to either server by SIGKILL, at every third in the other ways. "
        "After each, what was served was what was before or what the mart had; the next sync made it what the mart "
        "had, and left one table:",
        report.grid(("sync", "stopped by", "statements", "syncs stopped", "queries killed"), rows),
    ]


def _readers(found: Read | None) -> list[str]:
    if not found:
        return []
    rows = [
        (
            each.kind,
            f"{each.reads:,}",
            f"{sum(each.errors.values())}",
            str(each.partial),
            f"{each.p99_ms:.0f}",
            f"{each.longest_ms:.0f}",
        )
        for each in found.felt
    ]
    return [
        f"Readers of a mart, of a view as dbt makes it and of a user's view over that, during {found.refreshes} "
        f"refreshes ({_listed(found.modes)}), {found.kills} SIGKILLs of syncs and {found.schema_changes} changes of "
        f"columns; {found.refused} syncs found the view locked at every attempt. Owners, grants, options and "
        f"comments lost: {len(found.lost)}. Errors, but for prepared SELECT * after a change of columns: "
        f"{found.errors}. "
        f"`{CONTROL}` reads a table that nobody writes to: its longest read is the machine's.",
        report.grid(("reader", "reads", "errors", "partial", "p99 ms", "longest ms"), rows),
    ]


def _planted(found: list[Gone] | None) -> list[str]:
    if not found:
        return []
    rows = [
        (
            f"{each.rows:,}",
            str(each.changes),
            str(each.seen_after),
            str(each.gone_after),
            f"{each.touched_left} of {each.touched}",
            str(each.named),
        )
        for each in found
    ]
    head = ("rows", "changes", "reported after refreshes", "gone after", "touched, left after one", "named by a check")
    return ["Rows updated, deleted and inserted by hand in PostgreSQL:", report.grid(head, rows)]


def _summed(counts: list[dict[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for each in counts for name in each)
    return {name: sum(each.get(name, 0) for each in counts) for name in names}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
