"""The PostgreSQL type of each ClickHouse type, and the ClickHouse SQL of a value as PostgreSQL will hold it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gcc_platform.sync.column_types.clickhouse_types import ClickHouseType, bare


@dataclass(frozen=True)
class Mapped:
    """A scalar type's counterpart. `{0}` stands for the value in the texts of SQL."""

    postgres_type: str
    value: str = "{0}"
    """The cleaned value: of String, DateTime64(6), a number ..., or a tuple of an interval's parts."""
    is_changed: str | None = None
    """Whether cleaning changes the value; None for a type whose values all stay as they are."""


_UNCHANGED: Mapping[str, str] = {
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
    "BFloat16": "real",
    "Float32": "real",
    "Float64": "double precision",
    "Bool": "boolean",
    "UUID": "uuid",
    "Date": "date",
    "Date32": "date",
    "IPv4": "inet",
    "IPv6": "inet",
}

_IS_BAD_TEXT = "NOT isValidUTF8(toString({0})) OR position(toString({0}), '\\0') > 0"
_TEXT = Mapped(
    "text",
    # Text that PostgreSQL accepts: valid UTF-8 without NUL and FixedString's padding. Asking first costs 20 ns of
    # CPU a value, cleaning every one 70.
    f"if({_IS_BAD_TEXT}, replaceAll(toValidUTF8(toString({{0}})), '\\0', ''), toString({{0}}))",
    _IS_BAD_TEXT,
)

_DECIMAL_DIGITS = {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}

# What a unit is in PostgreSQL's intervals, which have microseconds, days and months.
_MICROSECONDS = {
    "Microsecond": 1,
    "Millisecond": 1_000,
    "Second": 1_000_000,
    "Minute": 60_000_000,
    "Hour": 3_600_000_000,
}
_DAYS = {"Day": 1, "Week": 7}
_MONTHS = {"Month": 1, "Quarter": 3, "Year": 12}


def scalar(clickhouse_type: str) -> Mapped | None:
    """The counterpart of a type that is neither an array nor served as JSON; None if it has none."""
    kind = bare(clickhouse_type)
    if kind.name in _UNCHANGED:
        return Mapped(_UNCHANGED[kind.name], "toFloat32({0})" if kind.name == "BFloat16" else "{0}")
    found = _BY_NAME.get(kind.name)
    return found(kind) if found else None


def _time(kind: ClickHouseType) -> Mapped:
    digits = kind.number(0, 3) if kind.name == "DateTime64" else 0
    if digits <= 6:
        return Mapped("timestamptz", "toDateTime64({0}, 6, 'UTC')")
    # PostgreSQL has microseconds. It would round nanoseconds, and a cast rounds towards 1970: both could reach the
    # next second.
    start = "toDateTime64(toStartOfMicrosecond({0}), 6, 'UTC')"
    return Mapped("timestamptz", start, f"{{0}} != {start}")


def _time_of_day(kind: ClickHouseType) -> Mapped:
    digits = kind.number(0, 3) if kind.name == "Time64" else 0
    if not digits:
        return Mapped("interval", _parts(microseconds="toInt64({0}) * 1000000"))
    is_changed = f"toDecimal64({{0}}, {digits}) != toDecimal64({{0}}, 6)" if digits > 6 else None
    return Mapped("interval", _parts(microseconds="toInt64(toDecimal64({0}, 6) * 1000000)"), is_changed)


def _interval(kind: ClickHouseType) -> Mapped:
    unit = kind.name.removeprefix("Interval")
    if unit == "Nanosecond":
        return Mapped("interval", _parts(microseconds="intDiv(toInt64({0}), 1000)"), "toInt64({0}) % 1000 != 0")
    if unit in _MICROSECONDS:
        return Mapped("interval", _parts(microseconds=_product(64, _MICROSECONDS[unit])))
    if unit in _DAYS:
        return Mapped("interval", _parts(days=_product(32, _DAYS[unit])))
    return Mapped("interval", _parts(months=_product(32, _MONTHS[unit])))


def _parts(microseconds: str = "toInt64(0)", days: str = "toInt32(0)", months: str = "toInt32(0)") -> str:
    return f"tuple({microseconds}, {days}, {months})"


def _product(bits: int, factor: int) -> str:
    """An interval in another unit, as an integer of 32 or 64 bits; an error where it has no room."""
    greatest = 2 ** (bits - 1) // factor - 1
    check = f"throwIf(abs(toInt128(toInt64({{0}}))) > {greatest}, 'an interval is too long for PostgreSQL')"
    return f"toInt{bits}(toInt64({{0}}) * {factor} + {check})"


def _decimal(kind: ClickHouseType) -> Mapped:
    if kind.name == "Decimal":
        return Mapped(f"numeric({kind.number(0, 10)},{kind.number(1)})")
    return Mapped(f"numeric({_DECIMAL_DIGITS[kind.name]},{kind.number(0)})")


_BY_NAME: Mapping[str, Callable[[ClickHouseType], Mapped]] = {
    "String": lambda _: _TEXT,
    "FixedString": lambda _: _TEXT,
    "Enum8": lambda _: _TEXT,
    "Enum16": lambda _: _TEXT,
    "DateTime": _time,
    "DateTime64": _time,
    "Time": _time_of_day,
    "Time64": _time_of_day,
    "Decimal": _decimal,
    **dict.fromkeys(_DECIMAL_DIGITS, _decimal),
    **{f"Interval{unit}": _interval for unit in ("Nanosecond", *_MICROSECONDS, *_DAYS, *_MONTHS)},
}
