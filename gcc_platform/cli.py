"""gcc-platform: the platform's commands, put together."""

import click

from gcc_platform.local_stack.commands import stack
from gcc_platform.up import up


@click.group()
@click.version_option(package_name="gcc")
def main() -> None:
    """Crawl events from RabbitMQ to ClickHouse, dbt and PostgreSQL.

    \b
    Examples:
      gcc-platform up --simulate 50   everything, with made-up events
      gcc-platform stack start        the three servers, in the background
      gcc-platform stack status
      gcc-platform stack stop
    """


for command in (stack, up):
    main.add_command(command)
