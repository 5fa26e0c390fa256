"""gcc-ingest init: create the topology and the raw tables."""

import asyncio

import click

from ingest_service.broker import topology
from ingest_service.broker.connection import connected
from ingest_service.clickhouse import client as clickhouse
from ingest_service.commands.errors import exit_on_error
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.schema import apply
from ingest_service.settings import Settings

_STATEMENT_SECONDS = 60


@click.command()
def init() -> None:
    """Create missing exchanges, queues and raw tables.

    Idempotent: existing ones are not changed.

    \b
    Example:
      gcc-ingest init
    """
    with exit_on_error():
        declared, changes = asyncio.run(initialise(Settings()))
    click.echo(f"broker: {len(declared.created)} created, {len(declared.existing)} already existed")
    click.echo(f"ClickHouse: {len(EVENT_TYPES)} raw tables, {len(changes)} changes applied")


async def initialise(settings: Settings) -> tuple[topology.Declared, list[str]]:
    """Create topology and tables; returns the declared topology and the names of the applied schema changes.

    Raises BrokerUnavailable, ClickHouseUnavailable or MissingUrl.
    """
    async with clickhouse.connected(settings.clickhouse(), _STATEMENT_SECONDS) as warehouse:
        changes = await apply.apply(warehouse, settings.clickhouse_cluster)
    async with connected(settings.amqp(), "gcc-ingest init") as connection:
        declared = await topology.declare(connection, EVENT_TYPES.values())
    return declared, changes
