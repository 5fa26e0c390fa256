"""gcc-platform: the command line. It imports a command when it runs, because Dagster takes seconds to load."""

from importlib import import_module

import click

from ingest_service.commands import unknown_settings

_COMMANDS = {
    "up": ("commands.up", "up", "Run everything: the local stack, the ingest service and Dagster."),
    "status": ("commands.status", "status", "Show what is wrong now; exit with 1 if something is."),
    "alerts": ("commands.alerts", "alerts", "List, test and silence alerts."),
    "refresh": ("commands.refresh", "refresh_command", "Build and check everything once; exit with 1 on failure."),
    "sync": ("commands.sync", "sync", "Copy marts to PostgreSQL by hand, as a refresh does."),
    "parity": ("commands.parity", "parity", "Compare what PostgreSQL serves with the marts, and repair it."),
    "prune": ("commands.prune", "prune", "Delete old history of Dagster."),
    "dbt": ("commands.dbt_command", "dbt_command", "Run dbt by hand, with a refresh's rights and environment."),
    "doctor": ("commands.doctor", "doctor", "Check servers, rights and settings, and advise on each problem."),
    "watch": ("commands.watch", "watch", "Look at everything, report what is wrong, and serve the status page."),
    "migration": ("commands.migration.group", "migration", "Move the old log tables over from PostgreSQL."),
    "stack": ("local_stack.commands", "stack", "Run the servers alone, in the background."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _summary = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"gcc_platform.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gcc")
def main() -> None:
    """Crawl events from RabbitMQ to ClickHouse, dbt and PostgreSQL.

    \b
    Examples:
      gcc-platform up --simulate 50   everything, with simulated events
      gcc-platform stack start        the servers, in the background
      gcc-platform refresh
    """
    unknown_settings.warn()
