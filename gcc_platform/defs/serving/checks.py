"""The check that PostgreSQL serves as many rows as the mart has."""

from collections.abc import Iterator

import dagster as dg
from psycopg import Connection, sql

from gcc_platform.defs.resources import ClickHouseResource, PostgresResource
from gcc_platform.defs.serving.assets import MARTS, served
from gcc_platform.resources.clickhouse import ClickHouse, quoted
from gcc_platform.sync.marts import Mart

_BY_KEY = {served(mart): mart for mart in MARTS}


@dg.multi_asset_check(
    name="row_parity",
    can_subset=True,
    specs=[
        dg.AssetCheckSpec(
            "row_parity",
            asset=served(mart),
            blocking=True,
            description=f"serving.{mart.name} has as many rows as {mart.database}.{mart.name} in ClickHouse.",
        )
        for mart in MARTS
    ],
)
def row_parity(
    context: dg.AssetCheckExecutionContext, clickhouse: ClickHouseResource, postgres: PostgresResource
) -> Iterator[dg.AssetCheckResult]:
    """Count the rows on both servers, with one query each."""
    marts = [_BY_KEY[key.asset_key] for key in sorted(context.selected_asset_check_keys)]
    with clickhouse.connect(check="row_parity", run_id=context.run.run_id) as connection:
        expected = _in_clickhouse(connection, marts)
    with postgres.connect(f"row_parity {context.run.run_id[:8]}") as target:
        served_rows = _in_postgres(target, marts)
    for mart in marts:
        yield dg.AssetCheckResult(
            passed=expected[mart.name] == served_rows[mart.name],
            check_name="row_parity",
            asset_key=served(mart),
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{served_rows[mart.name]} rows are served, the mart has {expected[mart.name]}",
            metadata={"clickhouse_rows": expected[mart.name], "postgres_rows": served_rows[mart.name]},
        )


def _in_clickhouse(connection: ClickHouse, marts: list[Mart]) -> dict[str, int]:
    counts = ", ".join(
        f"(SELECT count() FROM {quoted(mart.database)}.{quoted(mart.name)})"  # noqa: S608  quoted
        for mart in marts
    )
    [row] = connection.rows(f"SELECT {counts}")
    return {mart.name: int(count) for mart, count in zip(marts, row, strict=True)}


def _in_postgres(connection: Connection, marts: list[Mart]) -> dict[str, int]:
    counts = sql.SQL(", ").join(
        sql.SQL("(SELECT count(*) FROM serving.{})").format(sql.Identifier(mart.name)) for mart in marts
    )
    [row] = connection.execute(sql.SQL("SELECT {}").format(counts)).fetchall()
    return {mart.name: int(count) for mart, count in zip(marts, row, strict=True)}
