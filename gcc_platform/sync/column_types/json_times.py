"""JSON text that ClickHouse has read as a time, and so no longer has: "2024-02-30" became the first of March."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gcc_platform.resources.clickhouse import ClickHouse, quoted
from gcc_platform.sync.column_types.clickhouse_types import bare
from gcc_platform.sync.column_types.columns import Column
from ingest_service.errors import UserError


class JsonTimes(UserError):
    """JSON has paths whose text became times; the message names them and how to keep the text."""

    def __init__(self, mart: str, column: str, paths: Sequence[str]) -> None:
        super().__init__(
            f"{mart}.{column}: ClickHouse has read text at {', '.join(paths)} as dates or times, and no longer has the "
            "text. Insert with input_format_try_infer_dates = 0 and input_format_try_infer_datetimes = 0 (as dbt does "
            "here) and build the mart from scratch, or declare the type of the path in the mart: JSON(path String)."
        )


def refuse(
    clickhouse: ClickHouse,
    mart: str,
    columns: Sequence[Column],
    from_and_where: str,
    parameters: Mapping[str, Any] | None = None,
) -> None:
    """Raise JsonTimes if a JSON column has such paths in the rows that `from_and_where` names.

    A path whose type is declared is not one: its text was meant to be a time.
    """
    for column in columns:
        if bare(column.clickhouse_type).name == "JSON":
            # Not NULL: a NULL has no paths.
            rows = f"SELECT assumeNotNull({quoted(column.name)}) AS json {from_and_where}"
            if paths := sorted(_times(clickhouse, rows, parameters)):
                raise JsonTimes(mart, column.name, paths)


def _times(clickhouse: ClickHouse, rows: str, parameters: Mapping[str, Any] | None) -> Iterator[str]:
    """The paths of times in `json`, also in the objects of its arrays."""
    found = clickhouse.rows(
        f"""
        SELECT DISTINCT path.1 AS name, path.2 AS type
        FROM ({rows})
        ARRAY JOIN CAST(mapConcat(JSONDynamicPathsWithTypes(json), JSONSharedDataPathsWithTypes(json))
            AS Array(Tuple(String, String))) AS path
        WHERE type LIKE '%Date%' OR type LIKE '%JSON%'
        """,  # noqa: S608  made above
        parameters,
    )
    for name, its_type in found:
        if "JSON" not in its_type:
            yield name
            continue
        path = f"{name}.:`{its_type}`".replace("\\", "\\\\").replace("'", "\\'")
        inner = f"SELECT arrayJoin(arrayFlatten(getSubcolumn(json, '{path}'))) AS json FROM ({rows})"  # noqa: S608
        for each in _times(clickhouse, inner, parameters):
            yield f"{name}[].{each}"
