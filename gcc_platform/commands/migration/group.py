"""gcc-platform migration: the group of its commands."""

import click

from gcc_platform.commands.migration.backfill import backfill
from gcc_platform.commands.migration.check import check, repair
from gcc_platform.commands.migration.demo.command import demo
from gcc_platform.commands.migration.explain import explain
from gcc_platform.commands.migration.init import init
from gcc_platform.commands.migration.phase import advance, back
from gcc_platform.commands.migration.reverse import reverse
from gcc_platform.commands.migration.status import status
from gcc_platform.commands.migration.tail import tail


@click.group()
def migration() -> None:
    """Move the old log tables from PostgreSQL (GCC_LEGACY_URL) to this platform, without downtime.

    docs/migration.md is the guide. Every command may be stopped and repeated at any time.

    \b
    Examples:
      gcc-platform migration init
      gcc-platform migration backfill --workers 2
      gcc-platform migration tail
      gcc-platform migration check
      gcc-platform migration status
      gcc-platform migration advance profile_log dual
    """


for command in (init, backfill, tail, reverse, check, repair, status, advance, back, explain, demo):
    migration.add_command(command)
