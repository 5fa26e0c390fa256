"""A mart's columns: their PostgreSQL types, and the ClickHouse expressions whose text COPY can read."""

from dataclasses import dataclass

from gcc_platform.resources.clickhouse import ClickHouse, quoted
from gcc_platform.sync.clickhouse_types import bare
from gcc_platform.sync.copy_text import array_text, scalar_text
from gcc_platform.sync.mapping import scalar
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
    value: str
    """ClickHouse SQL of the value as PostgreSQL will hold it, before it is made text."""
    is_changed: str | None = None
    """ClickHouse SQL: whether the value in PostgreSQL differs from the one in ClickHouse; None if it never does."""

    @property
    def is_array(self) -> bool:
        """Whether it is a one-dimensional array."""
        return self.postgres_type.endswith("[]")

    @property
    def scalar_type(self) -> str:
        """The type in PostgreSQL, of an array the type of its elements."""
        return self.postgres_type.removesuffix("[]")


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
    value = quoted(name)
    kind = bare(clickhouse_type)
    if kind.name == "Array" and (element := scalar(kind.arguments[0])):
        values = value if element.value == "{0}" else f"arrayMap(x -> {element.value.format('x')}, {value})"
        is_changed = (
            f"arrayExists(x -> ifNull({element.is_changed.format('x')}, 0), {value})" if element.is_changed else None
        )
        return Column(name, f"{element.postgres_type}[]", array_text(element.postgres_type, values), values, is_changed)
    if found := scalar(clickhouse_type):
        cleaned = found.value.format(value)
        is_changed = found.is_changed.format(value) if found.is_changed else None
        return Column(name, found.postgres_type, scalar_text(found.postgres_type, cleaned), cleaned, is_changed)
    if kind.name == "JSON":
        return Column(name, "jsonb", value, value)
    raise UnsupportedColumn(mart, name, clickhouse_type)
