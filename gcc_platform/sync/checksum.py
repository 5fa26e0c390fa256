"""The same checksum of a row in ClickHouse and in PostgreSQL: whether both have the same values.

It is 60 bits of the MD5 of the row's bytes (binary.py). Sums of checksums do not depend on the order of rows.
"""

from collections.abc import Sequence

from psycopg import sql

from gcc_platform.sync import binary, md5_bits
from gcc_platform.sync.columns import Column


def in_clickhouse(columns: Sequence[Column]) -> str:
    """The checksum of a row of the mart's table; its type has room for the sum of all rows."""
    return md5_bits.in_clickhouse(binary.in_clickhouse(columns))


def in_postgres(columns: Sequence[Column], alias: str) -> sql.Composed:
    """The checksum, as a bigint, of a row of a table with these columns."""
    return sql.SQL(md5_bits.in_postgres("{}")).format(binary.in_postgres(columns, alias))
