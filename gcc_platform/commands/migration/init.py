"""gcc-platform migration init: prepares the old database and the state."""

import asyncio

import click
import psycopg

from gcc_platform.commands.migration.servers import TABLES
from gcc_platform.migration import horizon, legacy_database, state
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.settings import MigrationSettings
from ingest_service.commands.errors import exit_on_error
from ingest_service.errors import UserError


class NotPrepared(UserError):
    """The old database refuses a statement."""


@click.command()
@TABLES
@click.option(
    "--print", "only_print", is_flag=True, help="Only print the statements for the old database, for its DBA."
)
@exit_on_error()
def init(names: tuple[str, ...], only_print: bool) -> None:
    """Prepare the old database: a column event_id and its index in each log table; and the state of the migration.

    The column is added in an instant; its writers never wait for longer than two seconds. The index is built while they
    go on. Idempotent.

    \b
    Examples:
      gcc-platform migration init
      gcc-platform migration init --print > for_the_dba.sql
    """
    if only_print:
        for name in names or LEGACY_TABLES:
            for statement in legacy_database.preparation(LEGACY_TABLES[name]):
                click.echo(f"{statement};")
    else:
        asyncio.run(_prepare(MigrationSettings(), names))


async def _prepare(settings: MigrationSettings, names: tuple[str, ...]) -> None:
    async with legacy_database.writing(settings.legacy) as old, state.connected(settings.state) as own:
        await horizon.check(old)
        await state.create(own)
        for table in [LEGACY_TABLES[name] for name in names] or await legacy_database.present(old):
            try:
                await legacy_database.prepare(old, table)
            except psycopg.Error as error:
                raise NotPrepared(
                    f"{table.name} cannot be prepared: {str(error).strip()}. Repeat it later, or give its DBA the "
                    "output of gcc-platform migration init --print"
                ) from None
            click.echo(f"{table.name}: has the column event_id and its index")
