"""gcc-ingest init: create the topology and the raw tables, and set how long raw rows are kept."""

import asyncio
from dataclasses import dataclass

import click

from ingest_service.broker import topology
from ingest_service.broker.connection import connected
from ingest_service.clickhouse import client as clickhouse
from ingest_service.commands.errors import exit_on_error
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.schema import apply, retention
from ingest_service.settings import Settings

_STATEMENT_SECONDS = 60


@click.command()
def init() -> None:
    """Create missing exchanges, queues and raw tables.

    Idempotent: existing ones are not changed, except for the TTL of the raw tables, which becomes what GCC_RAW_TTL_DAYS
    asks for. Without it, raw rows are kept for ever.

    \b
    Example:
      gcc-ingest init
    """
    with exit_on_error():
        done = asyncio.run(initialise(Settings()))
    click.echo(f"broker: {len(done.declared.created)} created, {len(done.declared.existing)} already existed")
    retained = f", TTL of {len(done.retained)} changed" if done.retained else ""
    click.echo(f"ClickHouse: {len(EVENT_TYPES)} raw tables, {len(done.changes)} changes applied{retained}")


@dataclass(frozen=True)
class Initialised:
    """What `initialise` has done."""

    declared: topology.Declared
    changes: list[str]
    """The names of the schema changes that were applied now."""
    retained: list[str]
    """The raw tables whose TTL was set, changed or removed now."""


async def initialise(settings: Settings) -> Initialised:
    """Create topology and tables. Raises BrokerUnavailable, ClickHouseUnavailable, MissingUrl or BadRetention."""
    days = retention.days_by_table(settings.raw_ttl_days, settings.raw_ttl_days_by_type)
    async with clickhouse.connected(settings.clickhouse(), _STATEMENT_SECONDS) as warehouse:
        changes = await apply.apply(warehouse, settings.clickhouse_cluster)
        retained = await retention.apply(warehouse, settings.clickhouse_cluster, days)
    async with connected(settings.amqp(), "gcc-ingest init") as connection:
        declared = await topology.declare(connection, EVENT_TYPES.values())
    return Initialised(declared, changes, retained)
