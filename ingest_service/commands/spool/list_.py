"""gcc-ingest spool list: the events that wait in crawlers' spools."""

import json
from pathlib import Path

import click

from ingest_service.commands.errors import exit_on_error
from ingest_service.publisher.spool_list import waiting


@click.command("list")
@click.argument("directories", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIRECTORY...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@exit_on_error()
def list_(directories: tuple[Path, ...], as_json: bool) -> None:
    """List the events that wait in spools: event_id, routing key and file, separated by tabs.

    It runs beside the crawlers, which may send an event meanwhile, and changes nothing.

    \b
    Examples:
      gcc-ingest spool list /var/lib/crawler/spool
      gcc-ingest spool list /var/lib/crawlers --json | jq -r .event_id
    """
    for each in waiting(*directories):
        fields = {"event_id": each.event_id, "routing_key": each.routing_key, "file": str(each.file)}
        click.echo(json.dumps(fields) if as_json else "\t".join(fields.values()))
