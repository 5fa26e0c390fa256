"""`gcc-platform dbt`: runs dbt by hand, with the privileges and the environment of a refresh."""

import os

import click

from gcc_platform.resources.dbt_environment import dbt_environment
from gcc_platform.resources.dbt_project import DBT, folder, output_environment
from gcc_platform.settings import Settings
from ingest_service.commands.errors import exit_on_error


@click.command("dbt", context_settings={"ignore_unknown_options": True})
@click.argument("project", type=click.Choice(["warehouse", "serving"]))
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
@exit_on_error()
def dbt_command(project: str, arguments: tuple[str, ...]) -> None:
    """Run dbt with ARGUMENTS on a PROJECT, as dbt's user on the configured servers.

    \b
    Examples:
      gcc-platform dbt warehouse build --full-refresh --select mart_orders+
      gcc-platform dbt warehouse show --select mart_leaderboard
      gcc-platform dbt serving docs generate
    """
    environment = output_environment(project) | os.environ | dbt_environment(Settings())
    source = str(folder(project))
    # Replaces this process, so that signals and the exit code are dbt's.
    os.execve(DBT, [str(DBT), *arguments, "--project-dir", source, "--profiles-dir", source], environment)  # noqa: S606
