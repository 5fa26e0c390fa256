"""The same checksum of a row in ClickHouse and in PostgreSQL: 60 bits of the MD5 of its values' text."""

from collections.abc import Sequence

from psycopg import sql

from gcc_platform.resources.clickhouse import quoted
from gcc_platform.sync.columns import Column


def in_clickhouse(columns: Sequence[Column]) -> str:
    """The checksum of a row, which can be summed without overflow."""
    text = ", '\\x1f', ".join(_clickhouse(column) for column in columns if _is_compared(column))
    return f"toUInt128(bitShiftRight(reinterpretAsUInt64(reverse(substring(MD5(concat('', {text})), 1, 8))), 4))"


def in_postgres(columns: Sequence[Column], alias: str) -> sql.Composed:
    """The same, as a bigint."""
    text = sql.SQL(" || chr(31) || ").join(_postgres(column, alias) for column in columns if _is_compared(column))
    return sql.SQL("('x' || substr(md5({}), 1, 15))::bit(60)::bigint").format(text)


def _is_compared(column: Column) -> bool:
    return not column.postgres_type.endswith("[]") and column.postgres_type not in {"jsonb", "inet"}


def _clickhouse(column: Column) -> str:
    value = quoted(column.name)
    if column.postgres_type == "timestamptz":
        text = f"toString(toUnixTimestamp64Micro(toDateTime64(assumeNotNull({value}), 6, 'UTC')))"
    elif column.postgres_type in {"real", "double precision"}:
        text = (
            f"if(isNaN(assumeNotNull({value})), 'nan', hex(reverse(reinterpretAsFixedString(assumeNotNull({value})))))"
        )
    elif column.postgres_type == "boolean":
        text = f"if(assumeNotNull({value}), 'true', 'false')"
    elif column.postgres_type == "text":
        text = f"assumeNotNull({column.expression})"
    else:
        text = f"toString(assumeNotNull({value}))"
    return f"if(isNull({value}), '~', concat('=', {text}))"


def _postgres(column: Column, alias: str) -> sql.Composed:
    value = sql.Identifier(alias, column.name)
    if column.postgres_type == "timestamptz":
        text = sql.SQL("(extract(epoch FROM {}) * 1000000)::bigint::text")
    elif column.postgres_type == "real":
        text = sql.SQL("CASE WHEN {0} = 'NaN' THEN 'nan' ELSE upper(encode(float4send({0}), 'hex')) END")
    elif column.postgres_type == "double precision":
        text = sql.SQL("CASE WHEN {0} = 'NaN' THEN 'nan' ELSE upper(encode(float8send({0}), 'hex')) END")
    elif column.postgres_type.startswith("numeric"):
        text = sql.SQL("trim_scale({})::text")
    else:
        text = sql.SQL("{}::text")
    return sql.SQL("coalesce('=' || {}, '~')").format(text.format(value))
