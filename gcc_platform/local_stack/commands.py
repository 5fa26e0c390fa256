"""gcc-platform stack start, stop and status."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click
from pydantic import ValidationError

from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.stack import ServerStatus, Stack
from gcc_platform.settings import Settings

NOT_RUNNING = 3

P = ParamSpec("P")


def stack_of(directory: Path | None) -> Stack:
    """The stack of a directory, by default of the configured one, with the configured ports.

    Raises click.UsageError where a setting has no usable value, StackError where a port has none.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        problems = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        raise click.UsageError(f"the environment or .env has an unusable value. {problems}") from error
    return Stack(directory or settings.local_dir, Ports.configured(settings))


def exits_on_stack_error(command: Callable[P, None]) -> Callable[P, None]:
    """Print a StackError as ``error: ...`` on stderr and exit with 1, without a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except StackError as error:
            click.echo(f"error: {error}", err=True)
            click.get_current_context().exit(1)

    return run


directory_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    help="Where the servers keep their data.  [default: GCC_LOCAL_DIR, or else .local]",
)


@click.group()
def stack() -> None:
    """RabbitMQ, ClickHouse and PostgreSQL on this machine, private to the project.

    They listen on 127.0.0.1 only and keep all they have in one directory. A server whose URL is in the environment
    (AMQP_URL, CLICKHOUSE_URL, POSTGRES_URL) is not started: that one is used instead.

    \b
    Examples:
      export $(gcc-platform stack start)      start, and tell this shell where
      gcc-platform stack status               what runs, and on which ports
      gcc-platform stack stop                 stop; the data stays
    """


@stack.command()
@directory_option
@exits_on_stack_error
def start(directory: Path | None) -> None:
    """Start what is not running, in the background.

    Prints one NAME=value line for each URL, and nothing else, on stdout.

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
@exits_on_stack_error
def stop(directory: Path | None) -> None:
    """Stop what is running. The data stays for the next start.

    \b
    Example:
      gcc-platform stack stop
    """
    stack_of(directory).stop(_progress)


@stack.command()
@directory_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@exits_on_stack_error
def status(directory: Path | None, *, as_json: bool) -> None:
    """Tell what is running; exit with 3 where something is not.

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
        return f"{server.name:<12}{server.state}"
    ports = ", ".join(f"{name} {port}" for name, port in server.ports.items())
    return f"{server.name:<12}running  process {server.pid}  {ports}  log {server.log}"


def _progress(message: str) -> None:
    click.echo(message, err=True)
