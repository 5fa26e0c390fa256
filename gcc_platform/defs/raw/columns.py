"""The columns of the tables in `_e`: names and types from the DDL that the ingest service runs, and what they mean.

The contract has a docstring for each field of an event; the DDL has a comment on columns that are no event's.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from textwrap import dedent

import dagster as dg

from gcc_platform.defs.raw import ddl
from ingest_service.events.contract import Event, EventType

_COLUMN = re.compile(
    r"    (\w+) ((?:[A-Z]\w*)(?:\(.*?\)+)?)"
    r"(?: MATERIALIZED JSONExtract\(metrics, '(\w+)'.*| (?:DEFAULT|CODEC|ALIAS)\b.*|,?)"
)
_ADDED: Mapping[str, str] = {
    "extra": "Fields that are not in the contract, unchanged, as a JSON object.",
    "insert_timestamp": "When the row arrived, by ClickHouse's clock.",
}
"""What every raw table has besides the fields of its events."""


def column_schema(event_type: EventType) -> dg.TableSchema:
    """The columns of a raw table."""
    return of_ddl(ddl.of_raw_table(event_type).read_text(), {**_ADDED, **field_docs(event_type.struct)})


def columns(event_type: EventType) -> Mapping[str, str]:
    """The types of a raw table's columns by name."""
    return {column.name: column.type for column in column_schema(event_type).columns}


def of_ddl(text: str, meanings: Mapping[str, str]) -> dg.TableSchema:
    """The columns of a CREATE TABLE. A column's own comment takes precedence over `meanings`."""
    return dg.TableSchema(list(_columns(text, meanings)))


def _columns(text: str, meanings: Mapping[str, str]) -> Iterator[dg.TableColumn]:
    for line in text.splitlines():
        code, _, comment = line.partition("--")
        if found := _COLUMN.fullmatch(code.rstrip()):
            name, type_, metric = found.groups()
            meaning = f"The metric `{metric}` as a number; null without it." if metric else meanings.get(name)
            yield dg.TableColumn(
                name,
                type_,
                description=comment.strip() or meaning,
                constraints=dg.TableColumnConstraints(nullable="Nullable(" in type_),
            )


def field_docs(struct: type[Event]) -> Mapping[str, str]:
    """The docstring below each field of an event, and of its bases. Python keeps them in the source only."""
    found: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        if issubclass(each, Event):
            found |= _docs(inspect.getsource(each))
    return found


def _docs(source: str) -> Iterator[tuple[str, str]]:
    [definition] = ast.parse(dedent(source)).body
    assert isinstance(definition, ast.ClassDef)
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
