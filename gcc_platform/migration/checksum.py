"""The same text, and the same checksum, of an event in PostgreSQL and in ClickHouse: whether both have the same row.

Every column counts. JSON is compared byte for byte, because the backfill stores PostgreSQL's own text of it; times as
microseconds and doubles as their bits, because the engines write them differently.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import cache

import msgspec
from msgspec.inspect import (
    DateTimeType,
    FloatType,
    NoneType,
    StructType,
    Type,
    UnionType,
)

from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.sync.checksums import md5_bits
from ingest_service.events.registry import EVENT_TYPES

_SEPARATOR = "\\x1f"
_NULL = "~"
"""No other value is this text: a value that can be null begins with `=`."""


def in_postgres(table: LegacyTable) -> str:
    """The checksum of a row of `events_sql`: 60 bits of the MD5 of its text, as a bigint."""
    text = f" || E'{_SEPARATOR}' || ".join(_postgres_text(*column) for column in _columns(table))
    return md5_bits.in_postgres(text)


def in_clickhouse(table: LegacyTable) -> str:
    """The checksum of a row of the raw table, which can be summed without overflow."""
    text = f", '{_SEPARATOR}', ".join(_clickhouse_text(*column) for column in _columns(table))
    return md5_bits.in_clickhouse(f"concat({text})")


def texts_in_postgres(table: LegacyTable) -> str:
    """The columns of a row, each as text."""
    return ", ".join(_postgres_text(*column) for column in _columns(table))


def texts_in_clickhouse(table: LegacyTable) -> str:
    """The columns of a row, each as text; of copies of a row, any."""
    return ", ".join(f"any({_clickhouse_text(*column)})" for column in _columns(table))


@cache
def _kinds(event_type: str) -> dict[str, tuple[type, bool]]:
    """The type of each column that is not text, and whether it can be null."""
    struct = msgspec.inspect.type_info(EVENT_TYPES[event_type].struct)
    assert isinstance(struct, StructType)
    return {each.name: (_python_type(each.type), _is_nullable(each.type)) for each in struct.fields}


def _columns(table: LegacyTable) -> Iterator[tuple[str, type, bool]]:
    kinds = _kinds(table.event_type)
    for column in table.event_columns:
        yield column, *kinds.get(column, (str, False))


def _python_type(kind: Type) -> type:
    members = kind.types if isinstance(kind, UnionType) else (kind,)
    if any(isinstance(member, DateTimeType) for member in members):
        return datetime
    return float if any(isinstance(member, FloatType) for member in members) else str


def _is_nullable(kind: Type) -> bool:
    return isinstance(kind, UnionType) and any(isinstance(member, NoneType) for member in kind.types)


def _postgres_text(column: str, kind: type, nullable: bool) -> str:
    if kind is datetime:
        text = f"(extract(epoch FROM {column}) * 1000000)::bigint::text"
    elif kind is float:
        text = f"('x' || encode(float8send({column}), 'hex'))::bit(64)::bigint::text"
    else:
        text = f"{column}::text"
    return f"coalesce('=' || {text}, '{_NULL}')" if nullable else text


def _clickhouse_text(column: str, kind: type, nullable: bool) -> str:
    value = f"assumeNotNull({column})" if nullable else column
    if kind is datetime:
        text = f"toString(toUnixTimestamp64Micro({value}))"
    elif kind is float:
        text = f"toString(reinterpretAsInt64({value}))"
    else:
        text = f"toString({value})"
    return f"if({column} IS NULL, '{_NULL}', concat('=', {text}))" if nullable else text
