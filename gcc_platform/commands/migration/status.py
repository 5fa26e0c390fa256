"""gcc-platform migration status: where each table stands."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from gcc_platform.commands.migration.servers import with_servers
from gcc_platform.migration.servers import Servers
from gcc_platform.migration.status import TableStatus
from gcc_platform.migration.status import status as status_of
from gcc_platform.watch.page import duration
from ingest_service.commands.errors import exit_on_error

_COLUMNS = (
    "table", "phase", "chunks", "sealed", "rows", "rows/s", "left", "rejected", "tail", "gaps", "reverse",
    "differences", "red gates",
)  # fmt: skip
_TEXTS = ("table", "phase", "differences", "red gates")
_WIDTH = 200
"""Of lines that are not on a terminal: nothing is folded."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per table.")
@exit_on_error()
def status(as_json: bool) -> None:
    """Show where each old table stands: phase, chunks, rows, time left, tail, reverse writer, differences, red gates.

    \b
    Examples:
      gcc-platform migration status
      gcc-platform migration status --json | jq 'select(.failed > 0)'
    """
    found = with_servers(_ask)
    if as_json:
        for each in found:
            click.echo(json.dumps(asdict(each) | _computed(each), default=str))
    elif found:
        Console(width=None if sys.stdout.isatty() else _WIDTH).print(_table(found))
    else:
        click.echo("nothing is planned: gcc-platform migration backfill begins")


async def _ask(servers: Servers) -> Sequence[TableStatus]:
    return await status_of(servers.state)


def _computed(each: TableStatus) -> dict[str, object]:
    return {"seconds_left": each.seconds_left, "broken_gates": each.broken_gates, "closed_gates": each.closed_gates}


def _table(found: Sequence[TableStatus]) -> Table:
    table = Table(box=None)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in _TEXTS else "right", overflow="fold")
    for each in found:
        table.add_row(
            each.table,
            each.phase,
            f"{each.done}/{each.chunks}" + (f" ({each.failed} failed)" if each.failed else ""),
            str(each.sealed),
            f"{each.rows:,}",
            f"{each.rows_per_second:,.0f}",
            duration(each.seconds_left) if each.seconds_left else "-",
            str(each.rejected),
            f"{each.tail_rows:,}"
            + ("" if each.slot_wal_bytes is None else f" ({each.slot_wal_bytes / 1e6:.0f} MB WAL)"),
            str(each.gaps),
            "-" if each.reverse_rows is None else f"{each.reverse_rows:,}",
            ", ".join(f"{count} {what}" for what, count in each.open_differences.items()) or "-",
            ", ".join(each.closed_gates) or "-",
        )
    return table
