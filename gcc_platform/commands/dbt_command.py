"""dbt by hand, with the rights and the environment that a refresh gives it: `gcc-platform dbt`."""

import os

import click

from gcc_platform.resources.dbt_environment import BadUrl, dbt_environment
from gcc_platform.resources.dbt_project import DBT, folder, output_environment
from gcc_platform.settings import Settings
from ingest_service.urls import MissingUrl


@click.command("dbt", context_settings={"ignore_unknown_options": True})
@click.argument("project", type=click.Choice(["warehouse", "serving"]))
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def dbt_command(project: str, arguments: tuple[str, ...]) -> None:
    """Run dbt's ARGUMENTS on a PROJECT, as its own user on the configured servers.

    \b
    Examples:
      gcc-platform dbt warehouse build --full-refresh --select mart_orders+
      gcc-platform dbt warehouse show --select mart_leaderboard
      gcc-platform dbt serving docs generate
    """
    try:
        environment = output_environment(project) | os.environ | dbt_environment(Settings())
    except (MissingUrl, BadUrl) as error:
        raise click.ClickException(str(error)) from None
    source = str(folder(project))
    # Not a child: signals and the exit code are dbt's own.
    os.execve(DBT, [str(DBT), *arguments, "--project-dir", source, "--profiles-dir", source], environment)  # noqa: S606
