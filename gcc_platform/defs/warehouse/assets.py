"""dbt on ClickHouse as assets: staging views over the raw tables, and the marts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from gcc_platform.defs import outcome
from gcc_platform.defs.resources import ClickHouseResource
from gcc_platform.defs.warehouse.translator import Translator
from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.resources.dbt import Dbt, build
from gcc_platform.resources.dbt_examples import examples
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
    with clickhouse.connect(run_id=context.run.run_id) as connection:
        yield from build(
            context,
            "warehouse",
            dbt_warehouse,
            lambda keys: _row_counts(connection, keys),
            lambda query: examples(connection, query),
            lambda why: outcome.fail(context, why),
        )


def _row_counts(connection: ClickHouse, keys: Sequence[dg.AssetKey]) -> Mapping[dg.AssetKey, int]:
    """Count the rows of all tables with one query. A view has no rows of its own."""
    rows = connection.rows(
        "SELECT name, total_rows FROM system.tables "
        "WHERE database = 'warehouse' AND name IN {names:Array(String)} AND total_rows IS NOT NULL",
        {"names": [key.path[-1] for key in keys]},
    )
    counts = {str(name): int(count) for name, count in rows}
    return {key: counts[key.path[-1]] for key in keys if key.path[-1] in counts}
