"""gcc-platform: the platform's commands, each imported when it is used, because Dagster takes seconds to import."""

from importlib import import_module

import click

from ingest_service.commands import unknown_settings

_COMMANDS = {
    "up": ("gcc_platform.up", "up", "Run everything: the local stack, the ingest service and Dagster."),
    "refresh": ("gcc_platform.refresh", "refresh_command", "Build and check everything once; the exit code tells."),
    "dbt": ("gcc_platform.dbt_command", "dbt_command", "dbt by hand, as a refresh runs it."),
    "doctor": ("gcc_platform.doctor", "doctor", "Check servers, rights and settings; say what to do."),
    "stack": ("gcc_platform.local_stack.commands", "stack", "The three servers alone, in the background."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _summary = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
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
      gcc-platform up --simulate 50   everything, with made-up events
      gcc-platform stack start        the three servers, in the background
      gcc-platform refresh
    """
    unknown_settings.warn()
