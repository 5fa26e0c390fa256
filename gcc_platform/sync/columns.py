"""A mart's columns: their PostgreSQL types, and the ClickHouse expressions whose text COPY can read."""

import re
from dataclasses import dataclass

from gcc_platform.resources.clickhouse import ClickHouse, quoted
from ingest_service.errors import UserError


class UnsupportedColumn(UserError):
    """A column's type has no PostgreSQL counterpart; the message names the column, the type and a cast."""

    def __init__(self, mart: str, column: str, clickhouse_type: str) -> None:
        super().__init__(
            f"{mart}.{column} is {clickhouse_type}, which the sync cannot copy to PostgreSQL. "
            f"Cast it in the mart's SQL, e.g. toString({column}) or toJSONString({column})."
        )


class NoSuchMart(UserError):
    """ClickHouse has no such table, or hides it from this user."""


@dataclass(frozen=True)
class Column:
    """A column on both servers."""

    name: str
    postgres_type: str
    expression: str
    """ClickHouse SQL whose text is the column's value for PostgreSQL."""
    clickhouse_type: str = "String"


_SAME_TEXT = {
    "Int8": "smallint",
    "Int16": "smallint",
    "Int32": "integer",
    "Int64": "bigint",
    "Int128": "numeric(39,0)",
    "Int256": "numeric(77,0)",
    "UInt8": "smallint",
    "UInt16": "integer",
    "UInt32": "bigint",
    "UInt64": "numeric(20,0)",
    "UInt128": "numeric(39,0)",
    "UInt256": "numeric(78,0)",
    "Float32": "real",
    "Float64": "double precision",
    "Bool": "boolean",
    "UUID": "uuid",
    "Date": "date",
    "Date32": "date",
    "IPv4": "inet",
    "IPv6": "inet",
    "JSON": "jsonb",
}
"""Types whose TabSeparated text PostgreSQL reads unchanged."""

_WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)")
_AGGREGATE = re.compile(r"SimpleAggregateFunction\(\w+, (.*)\)")
_DECIMAL = re.compile(r"Decimal\((\d+), (\d+)\)")
_ARRAY = re.compile(r"Array\((.*)\)")
_STRING = re.compile(r"String|FixedString\(\d+\)|Enum(?:8|16)\(.*\)", re.DOTALL)
_TIME = re.compile(r"DateTime(?:64)?(?:\(.*\))?")
_NOT_IN_ARRAYS = {"JSON"}


def columns_of(clickhouse: ClickHouse, database: str, mart: str) -> list[Column]:
    """The columns that `SELECT *` returns, in order. Raises UnsupportedColumn and NoSuchMart."""
    rows = clickhouse.rows(
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {mart:String} "
        "AND default_kind NOT IN ('ALIAS', 'EPHEMERAL', 'MATERIALIZED') ORDER BY position",
        {"database": database, "mart": mart},
    )
    if not rows:
        raise NoSuchMart(f"ClickHouse has no table {database}.{mart}: build it first (gcc-platform refresh)")
    return [column(mart, name, clickhouse_type) for name, clickhouse_type in rows]


def column(mart: str, name: str, clickhouse_type: str) -> Column:
    """Map one column by its ClickHouse type. Raises UnsupportedColumn."""
    found = _scalar(_bare(clickhouse_type), quoted(name)) or _array(_bare(clickhouse_type), quoted(name))
    if found is None:
        raise UnsupportedColumn(mart, name, clickhouse_type)
    postgres_type, expression = found
    return Column(name, postgres_type, expression, clickhouse_type)


def _bare(clickhouse_type: str) -> str:
    """The type without Nullable, LowCardinality and SimpleAggregateFunction."""
    match = _WRAPPED.fullmatch(clickhouse_type) or _AGGREGATE.fullmatch(clickhouse_type)
    return _bare(match[1]) if match else clickhouse_type


def _scalar(bare: str, value: str) -> tuple[str, str] | None:
    if bare in _SAME_TEXT:
        return _SAME_TEXT[bare], value
    if _STRING.fullmatch(bare):
        return "text", _clean(value)
    if _TIME.fullmatch(bare):
        # PostgreSQL has microseconds; it would round nanoseconds, and so could reach the next second.
        return "timestamptz", f"toDateTime64({value}, 6, 'UTC')"
    if match := _DECIMAL.fullmatch(bare):
        return f"numeric({match[1]},{match[2]})", value
    return None


def _array(bare: str, value: str) -> tuple[str, str] | None:
    """Map a one-dimensional array to the text of a PostgreSQL array, with every element quoted."""
    match = _ARRAY.fullmatch(bare)
    if match is None or _bare(match[1]) in _NOT_IN_ARRAYS or _TIME.fullmatch(_bare(match[1])):
        return None
    element = _scalar(_bare(match[1]), "x")
    if element is None:
        return None
    escaped = f"replaceAll(replaceAll(toString(assumeNotNull({element[1]})), '\\\\', '\\\\\\\\'), '\"', '\\\\\"')"
    written = f"if(isNull(x), 'NULL', concat('\"', {escaped}, '\"'))"
    return f"{element[0]}[]", f"concat('{{', arrayStringConcat(arrayMap(x -> {written}, {value}), ','), '}}')"


def _clean(value: str) -> str:
    """Text that PostgreSQL accepts: valid UTF-8 without NUL."""
    return f"replaceAll(toValidUTF8(toString({value})), '\\0', '')"
