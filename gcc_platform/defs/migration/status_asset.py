"""migration/status: where every old table stands, as a table in Dagster."""

from collections.abc import Sequence

import dagster as dg

from gcc_platform.defs.migration import keys
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.status import TableStatus
from gcc_platform.watch.page import duration

_HEADINGS = (
    "table",
    "phase",
    "chunks",
    "sealed",
    "rows",
    "left",
    "tail",
    "reverse",
    "open differences",
    "closed gates",
)


asset = dg.AssetSpec(
    keys.STATUS,
    group_name=keys.GROUP,
    kinds={"postgres"},
    owners=["team:platform"],
    deps=[keys.parity(table) for table in LEGACY_TABLES],
    description="Where every old table stands: what gcc-platform migration status prints.",
)


def materialization(found: Sequence[TableStatus]) -> dg.AssetMaterialization:
    """The status, for a sensor."""
    return dg.AssetMaterialization(keys.STATUS, metadata={"status": dg.MetadataValue.md(markdown(found))})


def news(found: Sequence[TableStatus]) -> str:
    """What counts as a change: not the numbers, which change all the time."""
    return " ".join(f"{each.table}:{each.phase}:{','.join(each.closed_gates)}" for each in found)


def markdown(found: Sequence[TableStatus]) -> str:
    """A table in Markdown."""
    lines = [_line(_HEADINGS), _line(["---"] * len(_HEADINGS)), *(_line(_cells(each)) for each in found)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _cells(each: TableStatus) -> Sequence[str]:
    return (
        each.table,
        each.phase,
        f"{each.done} of {each.chunks}" + (f", {each.failed} failed" if each.failed else ""),
        str(each.sealed),
        f"{each.rows:,}",
        duration(each.seconds_left) if each.seconds_left else "-",
        f"{each.tail_rows:,} rows",
        "-" if each.reverse_rows is None else f"{each.reverse_rows:,} rows",
        ", ".join(f"{count} {what}" for what, count in each.open_differences.items()) or "none",
        ", ".join(each.closed_gates) or "none",
    )
