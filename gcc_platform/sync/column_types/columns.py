"""A mart's columns on both servers, as ClickHouse has them."""

from collections.abc import Collection
from dataclasses import dataclass

from gcc_platform.resources.clickhouse import ClickHouse, quoted
from gcc_platform.sync.column_types import json_text
from gcc_platform.sync.column_types.clickhouse_types import bare
from gcc_platform.sync.column_types.copy_text import array_text, scalar_text
from gcc_platform.sync.column_types.mapping import Mapped, scalar
from gcc_platform.sync.column_types.refusals import UnsupportedColumn, refusals
from ingest_service.errors import UserError


class NoSuchMart(UserError):
    """ClickHouse has no such table, or hides it from this user."""


@dataclass(frozen=True)
class Column:
    """A column on both servers."""

    name: str
    clickhouse_type: str
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


def columns_of(clickhouse: ClickHouse, database: str, mart: str, jsonb: Collection[str] = ()) -> list[Column]:
    """The columns that `SELECT *` returns, in order; those of `jsonb` as JSON.

    Raises UnsupportedColumn, which names all that cannot be served, and NoSuchMart.
    """
    rows = clickhouse.rows(
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {mart:String} "
        "AND default_kind NOT IN ('ALIAS', 'EPHEMERAL', 'MATERIALIZED') ORDER BY position",
        {"database": database, "mart": mart},
    )
    if not rows:
        raise NoSuchMart(f"ClickHouse has no table {database}.{mart}: build it first (gcc-platform refresh)")
    if reasons := refusals(mart, [(name, clickhouse_type) for name, clickhouse_type in rows], jsonb):
        raise UnsupportedColumn(reasons)
    return [column(name, clickhouse_type, is_json=name in jsonb) for name, clickhouse_type in rows]


def column(name: str, clickhouse_type: str, *, is_json: bool = False) -> Column:
    """Map one column by its ClickHouse type, which has a counterpart or is served as JSON."""
    value = quoted(name)
    if not is_json and (found := scalar(clickhouse_type)):
        cleaned = found.value.format(value)
        text = scalar_text(found.postgres_type, cleaned)
        is_changed = found.is_changed.format(value) if found.is_changed else None
        return Column(name, clickhouse_type, found.postgres_type, text, cleaned, is_changed)
    if not is_json and (element := _element(clickhouse_type)):
        values = value if element.value == "{0}" else f"arrayMap(x -> {element.value.format('x')}, {value})"
        text = array_text(element.postgres_type, values)
        return Column(name, clickhouse_type, f"{element.postgres_type}[]", text, values, _any_changed(element, value))
    cleaned = json_text.cleaned(value)
    return Column(name, clickhouse_type, "jsonb", cleaned, cleaned, json_text.is_changed(value))


def _element(clickhouse_type: str) -> Mapped | None:
    """The counterpart of an array's elements."""
    kind = bare(clickhouse_type)
    return scalar(kind.arguments[0]) if kind.name == "Array" else None


def _any_changed(element: Mapped, values: str) -> str | None:
    if element.is_changed is None:
        return None
    return f"arrayExists(x -> ifNull({element.is_changed.format('x')}, 0), {values})"
