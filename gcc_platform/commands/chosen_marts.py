"""The marts that a command is given by name, and both connections to sync them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from gcc_platform.resources import clickhouse, postgres
from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.settings import Settings
from gcc_platform.sync.marts import Mart, marts_of
from ingest_service.errors import UserError


class UnknownMart(UserError):
    """A name on the command line is not a mart's."""


def chosen(names: Sequence[str]) -> Sequence[Mart]:
    """The marts of these names, or all. Raises UnknownMart."""
    # Imported here: it imports dagster-dbt, which takes seconds, and --help should not.
    from gcc_platform.resources.dbt_project import manifest  # noqa: PLC0415

    marts = {mart.name: mart for mart in marts_of(manifest("warehouse"))}
    for name in names:
        if name not in marts:
            raise UnknownMart(f"{name} is not a mart. The marts are: {', '.join(marts)}")
    return [marts[name] for name in names] or list(marts.values())


@contextmanager
def both_ends(settings: Settings, command: str) -> Iterator[tuple[ClickHouse, psycopg.Connection]]:
    """ClickHouse and PostgreSQL, as the sync's users. Raises UserError."""
    with (
        clickhouse.connect(settings.urls.sync_clickhouse, {"command": command}) as source,
        postgres.connect(settings.urls.sync_postgres, f"gcc-platform {command}") as target,
    ):
        yield source, target
