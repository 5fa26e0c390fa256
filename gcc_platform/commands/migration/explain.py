"""gcc-platform migration explain: where one snapshot is."""

import json
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from gcc_platform.commands.migration.servers import with_servers
from gcc_platform.migration import explaining
from gcc_platform.migration.explaining import Fact
from gcc_platform.migration.servers import Servers
from ingest_service.commands.errors import exit_on_error


@click.command()
@click.argument("snapshot", metavar="EVENT_ID|TABLE:ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per fact.")
@exit_on_error()
def explain(snapshot: str, as_json: bool) -> None:
    """Show where a snapshot is: row, chunk or tail, raw row and its batch, dead letter, difference.

    \b
    Examples:
      gcc-platform migration explain post_log:4711
      gcc-platform migration explain 0b7c1f4e-52a5-4c5e-9c34-6a3c9e1c7f10
    """
    facts = with_servers(lambda servers: _explain(servers, snapshot))
    if not facts:
        click.echo(f"{snapshot}: no table, dead letter or difference has this event_id", err=True)
        sys.exit(1)
    if as_json:
        for table, fact in facts:
            click.echo(json.dumps({"table": table, "place": fact.place, "text": fact.text}))
        return
    shown = Table(box=None, show_header=False)
    for table, fact in facts:
        shown.add_row(table, fact.place, fact.text)
    Console(width=None if sys.stdout.isatty() else 240, markup=False, highlight=False).print(shown)


async def _explain(servers: Servers, text: str) -> Sequence[tuple[str, Fact]]:
    """The facts by table: an event_id of a crawler may be of any of them."""
    snapshot = explaining.parse(text, servers.database.number)
    names = [snapshot.table] if snapshot.table else []
    return [
        (table.name, fact)
        for table in await servers.tables(names)
        for fact in await explaining.explain(servers.state, servers.sides(table), snapshot)
    ]
