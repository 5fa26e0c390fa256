"""A row's bytes, equal in ClickHouse and in PostgreSQL: those that PostgreSQL sends to a client in binary.

They are a count of columns, then each column's type, length and value. So different rows have different bytes, no
setting of a session changes them, and PostgreSQL makes them in one call. Decimals and addresses are sent as text. Of
JSON it is only sent whether it is NULL: PostgreSQL sorts its keys and rewrites its numbers, which ClickHouse cannot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from gcc_platform.sync.column_types.columns import Column


@dataclass(frozen=True)
class _Wire:
    """How a type is sent."""

    oid: int
    array_oid: int
    length: int | None
    """The number of bytes; None if values differ in it."""
    value: str
    """ClickHouse SQL of the bytes of a value `{0}`."""
    is_cast: bool = False
    """Whether PostgreSQL casts it to text first."""


def in_clickhouse(columns: Sequence[Column]) -> str:
    """ClickHouse SQL of the bytes of a row."""
    return f"concat({_integer(len(columns))}, {', '.join(_field(column) for column in columns)})"


def in_postgres(columns: Sequence[Column], alias: str) -> sql.Composed:
    """PostgreSQL's SQL of the bytes of a row."""
    return sql.SQL("record_send(ROW({}))").format(sql.SQL(", ").join(_sent(column, alias) for column in columns))


def _sent(column: Column, alias: str) -> sql.Composed:
    name = sql.Identifier(alias, column.name)
    if column.scalar_type == "jsonb":
        return sql.SQL("{} IS NULL").format(name)
    if not _wire(column.scalar_type).is_cast:
        return sql.Composed([name])
    return sql.SQL("{}::text[]" if column.is_array else "{}::text").format(name)


def _field(column: Column) -> str:
    """A column's type, length and value; the length of NULL is -1."""
    if column.scalar_type == "jsonb":
        return f"concat({_integer(16)}, {_integer(1)}, char(isNull({column.value})))"
    wire = _wire(column.scalar_type)
    if column.is_array:
        return _with_length(_integer(wire.array_oid), _array(wire, column.value), None)
    return _with_length(_integer(wire.oid), wire.value.format(column.value), wire.length)


def _array(wire: _Wire, values: str) -> str:
    """The dimensions, whether an element is NULL, the elements' type; then size, first index, elements."""
    element = _with_length("''", wire.value.format("x"), wire.length)
    elements = f"arrayMap(x -> {element}, {values})"
    has_null = f"if(arrayExists(x -> isNull(x), {values}), {_integer(1)}, {_integer(0)})"
    filled = (
        f"concat({_integer(1)}, {has_null}, {_integer(wire.oid)}, {_big_endian(f'toInt32(length({values}))')}, "
        f"{_integer(1)}, arrayStringConcat({elements}))"
    )
    return f"if(empty({values}), concat({_integer(0)}, {_integer(0)}, {_integer(wire.oid)}), {filled})"


def _with_length(before: str, value: str, length: int | None) -> str:
    size = _integer(length) if length is not None else _big_endian(f"toInt32(length({value}))")
    return f"ifNull(concat({before}, {size}, {value}), concat({before}, {_integer(-1)}))"


def _integer(number: int) -> str:
    """Four bytes. Not as a literal: it would be part of the name of the result's column, which must be UTF-8."""
    return f"unhex('{number.to_bytes(4, 'big', signed=True).hex()}')"


def _big_endian(value: str) -> str:
    return f"reverse(reinterpretAsFixedString({value}))"


def _wire(scalar_type: str) -> _Wire:
    name, _, digits = scalar_type.partition("(")
    if name == "numeric" and not digits.endswith(",0)"):
        scale = digits.removesuffix(")").partition(",")[2]
        return _Wire(25, 1009, None, f"toDecimalString({{0}}, {scale})", is_cast=True)
    return _WIRES[name]


_WIRES: Mapping[str, _Wire] = {
    "boolean": _Wire(16, 1000, 1, "char(toUInt8({0}))"),
    "smallint": _Wire(21, 1005, 2, _big_endian("toInt16({0})")),
    "integer": _Wire(23, 1007, 4, _big_endian("toInt32({0})")),
    "bigint": _Wire(20, 1016, 8, _big_endian("toInt64({0})")),
    "numeric": _Wire(25, 1009, None, "toString({0})", is_cast=True),
    # NaN has many forms in ClickHouse and one in PostgreSQL.
    "real": _Wire(700, 1021, 4, _big_endian("if(isNaN({0}), toFloat32(nan), {0})")),
    "double precision": _Wire(701, 1022, 8, _big_endian("if(isNaN({0}), nan, {0})")),
    "text": _Wire(25, 1009, None, "{0}"),
    "uuid": _Wire(2950, 2951, 16, "UUIDToNum({0})"),
    "inet": _Wire(25, 1009, None, "concat(toString({0}), if(toString({0}) LIKE '%:%', '/128', '/32'))", is_cast=True),
    # Both count from 2000-01-01.
    "date": _Wire(1082, 1182, 4, _big_endian("toInt32(toInt32({0}) - 10957)")),
    "timestamptz": _Wire(1184, 1185, 8, _big_endian("toUnixTimestamp64Micro({0}) - 946684800000000")),
    "interval": _Wire(
        1186, 1187, 16, f"concat({_big_endian('{0}.1')}, {_big_endian('{0}.2')}, {_big_endian('{0}.3')})"
    ),
}
