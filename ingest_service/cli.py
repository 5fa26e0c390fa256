"""gcc-ingest: the ingest service's commands."""

import click

from ingest_service.commands import unknown_settings
from ingest_service.commands.archive import archive
from ingest_service.commands.dead_letters import dead_letters
from ingest_service.commands.init import init
from ingest_service.commands.publish import publish
from ingest_service.commands.run import run
from ingest_service.commands.simulate import simulate
from ingest_service.commands.spool import spool
from ingest_service.observability import logs


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gcc")
def main() -> None:
    """Crawl events from RabbitMQ into ClickHouse, in batches, losing nothing.

    Servers are named by AMQP_URL and CLICKHOUSE_URL; `gcc-platform stack start` runs local ones. Every setting is
    listed in .env.example.
    """
    logs.silence_libraries()
    unknown_settings.warn()


for command in (init, run, publish, simulate, archive, dead_letters, spool):
    main.add_command(command)
