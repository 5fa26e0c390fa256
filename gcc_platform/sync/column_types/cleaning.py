"""How many values PostgreSQL cannot hold as they are: text with NUL or bad UTF-8, times with nanoseconds."""

from collections.abc import Mapping, Sequence
from typing import Any

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.column_types.columns import Column


def cleaned(
    clickhouse: ClickHouse, columns: Sequence[Column], from_and_where: str, parameters: Mapping[str, Any] | None = None
) -> Mapping[str, int]:
    """The number of rows in which cleaning changes a column, for the columns that have any.

    `from_and_where` names the rows: "FROM `warehouse`.`mart_x` WHERE ...". One query counts all columns; without a
    column whose type can be changed there is none.
    """
    changeable = [column for column in columns if column.is_changed is not None]
    if not changeable:
        return {}
    counts = ", ".join(f"countIf({column.is_changed})" for column in changeable)
    [row] = clickhouse.rows(f"SELECT {counts} {from_and_where}", parameters)
    return {column.name: int(count) for column, count in zip(changeable, row, strict=True) if count}
