"""gcc-platform stack start, stop and status."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.settings import LocalStackSettings
from gcc_platform.local_stack.stack import ServerStatus, Stack
from ingest_service.commands.errors import exit_on_error

NOT_RUNNING = 3


def stack_of(directory: Path | None) -> Stack:
    """The stack of a directory, by default the configured one, with the configured ports.

    Raises click.UsageError if a setting is invalid, StackError if a port is.
    """
    try:
        settings = LocalStackSettings()
    except ValidationError as error:
        problems = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        raise click.UsageError(f"invalid settings in the environment or .env: {problems}") from error
    return Stack(directory or settings.directory, Ports.configured(settings))


directory_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    help="The directory of the servers' data.  [default: GCC_LOCAL_DIR, or .local]",
)


@click.group()
def stack() -> None:
    """Private RabbitMQ, ClickHouse and PostgreSQL servers on this machine.

    They listen on 127.0.0.1 and store all data in one directory. If the URL of a server is in the environment
    (AMQP_URL, CLICKHOUSE_URL, POSTGRES_URL), that server is used and no local one is started.

    \b
    Examples:
      export $(gcc-platform stack start)      start, and set the URLs in this shell
      gcc-platform stack status               show the servers and their ports
      gcc-platform stack stop                 stop; the data stays
    """


@stack.command()
@directory_option
@exit_on_error()
def start(directory: Path | None) -> None:
    """Start the servers that are not running, in the background.

    Prints one NAME=value line per URL on stdout, and the progress on stderr.

    \b
    Examples:
      export $(gcc-platform stack start)
      gcc-platform stack start --dir /tmp/gcc > /tmp/gcc.env
      GCC_LOCAL_POSTGRES_PORT=6543 gcc-platform stack start
    """
    environment = stack_of(directory).start(_progress)
    for name, value in environment.items():
        click.echo(f"{name}={value}")


@stack.command()
@directory_option
@exit_on_error()
def stop(directory: Path | None) -> None:
    """Stop the servers. The data stays for the next start.

    \b
    Example:
      gcc-platform stack stop
    """
    stack_of(directory).stop(_progress)


@stack.command()
@directory_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@exit_on_error()
def status(directory: Path | None, *, as_json: bool) -> None:
    """Show which servers run. Exits with 3 if one does not.

    \b
    Examples:
      gcc-platform stack status
      gcc-platform stack status --json
    """
    servers = stack_of(directory).status()
    if as_json:
        click.echo(json.dumps([asdict(server) for server in servers], default=str, indent=2))
    else:
        for server in servers:
            click.echo(_line(server))
    if any(server.state == "stopped" for server in servers):
        click.get_current_context().exit(NOT_RUNNING)


def _line(server: ServerStatus) -> str:
    if server.state != "running":
        return f"{server.name:<14}{server.state}"
    ports = ", ".join(f"{name} {port}" for name, port in server.ports.items())
    return f"{server.name:<14}running  process {server.pid}  {ports}  log {server.log}"


def _progress(message: str) -> None:
    click.echo(message, err=True)
