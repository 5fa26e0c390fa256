"""dbt on ClickHouse as assets: staging views over the raw tables, and the marts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from gcc_platform.defs import outcome
from gcc_platform.defs.resources import ClickHouseResource
from gcc_platform.defs.warehouse.translator import Translator
from gcc_platform.resources.dbt import Dbt, build
from gcc_platform.resources.dbt_examples import Row, examples
from gcc_platform.resources.dbt_project import dbt_project

PROJECT = dbt_project("warehouse")


@dbt_assets(
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    dagster_dbt_translator=Translator(default_group="warehouse"),
    name="dbt_warehouse",
)
def warehouse(context: dg.AssetExecutionContext, dbt_warehouse: Dbt, clickhouse: ClickHouseResource) -> Iterator[Any]:
    """Build the warehouse and test it."""

    def row_counts(keys: Sequence[dg.AssetKey]) -> Mapping[dg.AssetKey, int]:
        return _row_counts(clickhouse, context.run.run_id, keys)

    def failing_rows(query: str) -> Sequence[Row]:
        with clickhouse.connect(run_id=context.run.run_id) as connection:
            return examples(connection, query)

    yield from build(
        context, "warehouse", dbt_warehouse, row_counts, failing_rows, lambda why: outcome.fail(context, why)
    )


def _row_counts(clickhouse: ClickHouseResource, run_id: str, keys: Sequence[dg.AssetKey]) -> Mapping[dg.AssetKey, int]:
    """Count the rows of all tables with one query. A view has no rows of its own."""
    if not keys:
        return {}
    with clickhouse.connect(run_id=run_id) as connection:
        rows = connection.rows(
            "SELECT name, total_rows FROM system.tables "
            "WHERE database = 'warehouse' AND name IN {names:Array(String)} AND total_rows IS NOT NULL",
            {"names": [key.path[-1] for key in keys]},
        )
    counts = {str(name): int(count) for name, count in rows}
    return {key: counts[key.path[-1]] for key in keys if key.path[-1] in counts}
