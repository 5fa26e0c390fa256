"""Both ends of a sync, and what was found at the first one."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.column_types.columns import Column
from gcc_platform.sync.copying import RowSource
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.source import Rows, Table


@dataclass(frozen=True)
class Ends:
    """The connections of one sync."""

    clickhouse: ClickHouse
    rows: RowSource
    """Where rows are copied from: ClickHouse, or a stage that it writes to."""
    postgres: psycopg.Connection
    """In autocommit mode."""


@dataclass(frozen=True)
class Found:
    """A mart in ClickHouse."""

    mart: Mart
    columns: Sequence[Column]
    layout: str
    table: Table
    rows: Rows
