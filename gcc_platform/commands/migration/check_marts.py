"""gcc-platform migration check --level marts: whether both sides make the same marts."""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NoReturn

import click

from gcc_platform.commands.migration.servers import with_servers
from gcc_platform.migration.comparing_marts import Compared, compare_marts
from gcc_platform.migration.servers import Servers


def check_marts(names: Sequence[str], until: datetime | None, days: int | None) -> NoReturn:
    """Compare the marts of these tables, print the result, and exit with 1 if any differs."""
    found = with_servers(lambda servers: _compare_marts(servers, names, until, days))
    for line in _mart_lines(found):
        click.echo(line)
    sys.exit(1 if found.different else 0)


async def _compare_marts(servers: Servers, names: Sequence[str], until: datetime | None, days: int | None) -> Compared:
    tables = await servers.tables(names)
    days = servers.settings.mart_days if days is None else days
    return await compare_marts(servers, tables, lambda step: click.echo(step, err=True), until=until, days=days)


def _mart_lines(found: Compared) -> Iterator[str]:
    for each in found.marts:
        if each.is_equal:
            yield f"{each.name}: {each.rows} rows are equal"
            continue
        sides = f"{each.only_of_events} rows of events and {each.only_of_rows} of PostgreSQL's rows"
        yield f"{each.name}: {sides} have no equal on the other side"
        yield from (f"  {example}" for example in each.examples)
    if found.places.all:
        yield f"places on leaderboards: {found.places.same} of {found.places.all} are the same"
