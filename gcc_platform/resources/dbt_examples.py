"""Examples of the rows for which dbt's tests failed: a check says which rows are wrong, not only how many."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation

from gcc_platform.resources.clickhouse import ClickHouse, ClickHouseFailed

_SHOWN = 5
_MOST_TESTS = 10
"""Their queries run once more. If many tests fail, the first ones say enough."""
_VALUE_LENGTH = 200

Row = Mapping[str, Any]
Rows = Callable[[str], Sequence[Row]]
"""Returns the rows of a query, by column. Raises ClickHouseFailed."""


def examples(connection: ClickHouse, query: str) -> Sequence[Row]:
    """The first rows of a test's compiled query."""
    return connection.named_rows(f"SELECT * FROM (\n{query}\n) LIMIT {_SHOWN}")  # noqa: S608  dbt's own


def with_examples(events: Iterable[Any], invocation: DbtCliInvocation, rows: Rows) -> Iterator[Any]:
    """The events, and at the end the results of failed tests, which have a description and a table of examples.

    Their queries are in dbt's results, which it writes at its end.
    """
    failed: list[dg.AssetCheckResult] = []
    for event in events:
        if isinstance(event, dg.AssetCheckResult) and not event.passed:
            failed.append(event)
        else:
            yield event
    if failed:
        results = {result["unique_id"]: result for result in invocation.get_artifact("run_results.json")["results"]}
        yield from (_explained(event, results, rows) for event in failed[:_MOST_TESTS])
        yield from failed[_MOST_TESTS:]


def _explained(event: dg.AssetCheckResult, by_test: Mapping[str, Any], rows: Rows) -> dg.AssetCheckResult:
    result = by_test.get(str(event.metadata["unique_id"].value))
    if result is None or not result.get("compiled_code"):
        return event
    query, message = result["compiled_code"], str(result["message"])
    found: Sequence[Row] = []
    try:
        found = rows(query)
    except ClickHouseFailed as error:
        message = str(error)
    first = "; ".join(_text(row) for row in found)
    return event._replace(
        description=f"{_count(result['failures'])}, e.g. {first}" if first else message,
        metadata={
            "failing_rows": dg.IntMetadataValue(result["failures"]),
            "examples": dg.MarkdownMetadataValue(_table(found)),
            "query": dg.MarkdownMetadataValue(f"```sql\n{query.strip()}\n```"),
            **event.metadata,
        },
    )


def _count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def _text(row: Row) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in row.items())


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    lines = [rows[0].keys(), ["---"] * len(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    """Text of events is untrusted: it must not end the cell, or be taken for a link or a tag."""
    quoted = _short(value).replace("`", "'").replace("|", "\\|").replace("\n", " ")
    return f"`{quoted}`"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _VALUE_LENGTH else f"{text[:_VALUE_LENGTH]}..."
