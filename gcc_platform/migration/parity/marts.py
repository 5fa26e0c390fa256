"""Parity of marts: those built from the events and those built from PostgreSQL's rows, compared cell by cell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gcc_platform.migration.parity.shadow_build import OF_EVENTS, OF_ROWS
from ingest_service.clickhouse.client import ClickHouse

_EXAMPLES = 5
_LEADERBOARD = "mart_leaderboard"


@dataclass(frozen=True)
class Mart:
    """One mart of both sides."""

    name: str
    rows: int
    """Of the events' side."""
    only_of_events: int
    """Rows that the other side does not have like this."""
    only_of_rows: int
    examples: Sequence[str] = ()
    """Keys of rows that are not the same, each with its columns."""

    @property
    def is_equal(self) -> bool:
        """Whether every row is the same, in every cell."""
        return not self.only_of_events and not self.only_of_rows


@dataclass(frozen=True)
class Places:
    """Places on leaderboards that both sides give to the same profile or post."""

    same: int
    all: int


async def compare(clickhouse: ClickHouse) -> Sequence[Mart]:
    """All marts and intermediate tables of both sides, by name. Raises ClickHouseUnavailable."""
    rows = await clickhouse.rows(
        f"""SELECT name, sorting_key, if(match(engine, 'Replacing|Aggregating'), 'FINAL', '') AS final
        FROM system.tables WHERE database = '{OF_EVENTS}' AND match(name, '^(mart|int)_')
            AND engine LIKE '%MergeTree' AND name IN (SELECT name FROM system.tables WHERE database = '{OF_ROWS}')
        ORDER BY name"""
    )
    tables: Sequence[Mapping[str, str]] = [json.loads(row) for row in rows]
    return [await _compare(clickhouse, each["name"], each["sorting_key"], each["final"]) for each in tables]


async def places(clickhouse: ClickHouse) -> Places:
    """Compare the leaderboards place by place; none if they were not built. Raises ClickHouseUnavailable."""
    built = await clickhouse.column(
        f"SELECT database FROM system.tables WHERE database IN ('{OF_EVENTS}', '{OF_ROWS}') AND name = '{_LEADERBOARD}'"
    )
    if not built:
        return Places(0, 0)
    key = "platform, leaderboard, period, profile_id, shortcode"
    found = await _one(
        clickhouse,
        f"""SELECT countIf(a.rank = b.rank) AS same, count() AS all
        FROM {OF_EVENTS}.{_LEADERBOARD} AS a FULL JOIN {OF_ROWS}.{_LEADERBOARD} AS b USING ({key})
        SETTINGS join_use_nulls = 1""",
    )
    return Places(int(found["same"]), int(found["all"]))


@dataclass(frozen=True)
class _Column:
    name: str
    is_set: bool
    """Whether it is an array in no order, as intermediate tables keep events."""

    def text(self, side: str = "") -> str:
        """SQL of a text that is the same for the same value, and never NULL: that would make a row's hash NULL."""
        value = f"arraySort({side}{self.name})" if self.is_set else f"{side}{self.name}"
        return f"ifNull(concat('=', toString({value})), '~')"


async def _compare(clickhouse: ClickHouse, name: str, key: str, final: str) -> Mart:
    columns = await _columns(clickhouse, name)
    cells = ", ".join(column.text() for column in columns)
    sums = [
        await _one(
            clickhouse,
            f"""SELECT count() AS rows, toString(sum(toUInt256(cityHash64({cells})))) AS cells
            FROM {side}.{name} {final}""",
        )
        for side in (OF_EVENTS, OF_ROWS)
    ]
    rows_of_events = int(sums[0]["rows"])
    if sums[0] == sums[1]:
        return Mart(name, rows_of_events, 0, 0)
    read = f"{name} {final}"
    of_events, of_rows = await _without_equal(clickhouse, read, cells)
    examples = await _examples(clickhouse, read, key, columns) or await _examples_of_copies(clickhouse, read, key)
    return Mart(name, rows_of_events, of_events, of_rows, examples)


async def _columns(clickhouse: ClickHouse, name: str) -> Sequence[_Column]:
    rows = await clickhouse.rows(
        f"""SELECT name, type LIKE '%Array(Tuple(%' AS is_set FROM system.columns
        WHERE database = '{OF_EVENTS}' AND table = '{name}' ORDER BY position"""
    )
    found = [json.loads(row) for row in rows]
    return [_Column(each["name"], name.startswith("int_") and bool(each["is_set"])) for each in found]


async def _without_equal(clickhouse: ClickHouse, name: str, cells: str) -> tuple[int, int]:
    """How many rows of each side have no equal on the other; a row that is there twice needs two."""
    found = await _one(
        clickhouse,
        f"""SELECT sum(greatest(more, 0)) AS of_events, sum(greatest(-more, 0)) AS of_rows FROM (
            SELECT sum(side) AS more FROM (
                SELECT cityHash64({cells}) AS row, 1 AS side FROM {OF_EVENTS}.{name}
                UNION ALL SELECT cityHash64({cells}) AS row, -1 AS side FROM {OF_ROWS}.{name})
            GROUP BY row)""",
    )
    return int(found["of_events"]), int(found["of_rows"])


async def _examples(clickhouse: ClickHouse, name: str, key: str, columns: Sequence[_Column]) -> Sequence[str]:
    """Some keys, each with the columns that differ."""
    keys = key.split(", ")
    differ = ", ".join(
        f"if({column.text('a.')} = {column.text('b.')}, '', '{column.name}')"
        for column in columns
        if column.name not in keys
    )
    rows = await clickhouse.rows(
        f"""SELECT [{", ".join(f"toString({column})" for column in keys)}] AS keys,
            multiIf(NOT a.here, 'only of rows', NOT b.here, 'only of events',
                arrayStringConcat(arrayFilter(name -> name != '', [{differ}]), ', ')) AS what
        FROM (SELECT *, true AS here FROM {OF_EVENTS}.{name}) AS a
        FULL JOIN (SELECT *, true AS here FROM {OF_ROWS}.{name}) AS b USING ({key})
        WHERE what != '' LIMIT {_EXAMPLES}"""
    )
    found = [json.loads(row) for row in rows]
    return [f"{', '.join(each['keys'])}: {each['what']}" for each in found]


async def _examples_of_copies(clickhouse: ClickHouse, name: str, key: str) -> Sequence[str]:
    """Some keys that one side has more often, with the number of rows of each."""
    keys = ", ".join(f"toString({column})" for column in key.split(", "))
    rows = await clickhouse.rows(
        f"""SELECT [{keys}] AS keys, countIf(side = 1) AS of_events, countIf(side = 2) AS of_rows FROM (
            SELECT {key}, 1 AS side FROM {OF_EVENTS}.{name} UNION ALL SELECT {key}, 2 AS side FROM {OF_ROWS}.{name})
        GROUP BY {key} HAVING of_events != of_rows LIMIT {_EXAMPLES}"""
    )
    found = [json.loads(row) for row in rows]
    return [
        f"{', '.join(each['keys'])}: {each['of_events']} rows of events, {each['of_rows']} of PostgreSQL's rows"
        for each in found
    ]


async def _one(clickhouse: ClickHouse, query: str) -> Mapping[str, Any]:
    [row] = await clickhouse.rows(query)
    found: Mapping[str, Any] = json.loads(row)
    return found
