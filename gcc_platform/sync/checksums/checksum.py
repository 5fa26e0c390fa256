"""The same checksum of a row in ClickHouse and in PostgreSQL: whether both have the same values.

It is 60 bits of the MD5 of the row's bytes (binary.py). Sums of checksums do not depend on the order of rows.
"""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.checksums import binary, md5_bits
from gcc_platform.sync.column_types.columns import Column


def in_clickhouse(columns: Sequence[Column]) -> str:
    """The checksum of a row of the mart's table; its type has room for the sum of all rows."""
    return md5_bits.in_clickhouse(binary.in_clickhouse(columns))


def in_postgres(columns: Sequence[Column], alias: str) -> sql.Composed:
    """The checksum, as a bigint, of a row of a table with these columns."""
    return sql.SQL(md5_bits.in_postgres("{}")).format(binary.in_postgres(columns, alias))


def sum_in_clickhouse(clickhouse: ClickHouse, columns: Sequence[Column], rows: str) -> tuple[int, str]:
    """The number and the sum of the checksums of the rows of a FROM clause, whose names are quoted."""
    [[count, total]] = clickhouse.rows(f"SELECT count(), toString(sum({in_clickhouse(columns)})) {rows}")
    return int(count), str(total)


def sum_in_postgres(postgres: psycopg.Connection, columns: Sequence[Column], rows: sql.Composable) -> tuple[int, str]:
    """The same of a FROM clause in which the table is `t`."""
    [(count, total)] = postgres.execute(
        sql.SQL("SELECT count(*), coalesce(sum({}), 0)::text {}").format(in_postgres(columns, "t"), rows)
    ).fetchall()
    return int(count), str(total)
