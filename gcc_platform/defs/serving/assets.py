"""The marts in PostgreSQL: one synced table per mart, and dbt's views, which the API reads."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from gcc_platform.defs.resources import ClickHouseResource, PostgresResource
from gcc_platform.defs.warehouse.translator import Translator
from gcc_platform.resources.dbt import Dbt, build
from gcc_platform.resources.dbt_project import dbt_project, manifest
from gcc_platform.sync.marts import Mart, marts_of
from gcc_platform.sync.snapshot import Snapshot, new_version, sync

PROJECT = dbt_project("serving")
MARTS = marts_of(manifest("warehouse"))


def served(mart: Mart) -> dg.AssetKey:
    """The asset of a mart in PostgreSQL."""
    return dg.AssetKey(["serving", mart.name])


def _served_asset(mart: Mart) -> dg.AssetsDefinition:
    @dg.asset(
        key=served(mart),
        deps=[dg.AssetKey(["marts", mart.name])],
        group_name="serving",
        kinds={"postgres", "python"},
        owners=["team:platform"],
        description=f"{mart.name} in the API's database, replaced atomically. {mart.description}".strip(),
        metadata={"dagster/table_name": f"serving.{mart.name}", "grain": ", ".join(mart.grain)},
    )
    def serve(
        context: dg.AssetExecutionContext, clickhouse: ClickHouseResource, postgres: PostgresResource
    ) -> dg.MaterializeResult[Any]:
        version = new_version()
        with (
            clickhouse.connect(mart=mart.name, version=version, run_id=context.run.run_id) as source,
            postgres.connect(f"sync {mart.name} {context.run.run_id[:8]}") as target,
        ):
            snapshot = sync(source, target, mart, version)
        if snapshot.dropped_views:
            context.log.warning(
                "a column of %s was removed or retyped, which dropped these views over it: %s. "
                "dbt creates its own views again.",
                mart.name,
                ", ".join(snapshot.dropped_views),
            )
        return dg.MaterializeResult(metadata=_metadata(snapshot))

    return serve


def _metadata(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "dagster/row_count": snapshot.rows,
        "version": snapshot.version,
        "seconds": round(snapshot.seconds, 3),
        "sent_bytes": snapshot.sent_bytes,
        "table_bytes": snapshot.table_bytes,
        "swap_attempts": snapshot.swap_attempts,
    }


served_marts = [_served_asset(mart) for mart in MARTS]


@dbt_assets(
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    dagster_dbt_translator=Translator(default_group="api"),
    name="dbt_serving",
)
def api_views(context: dg.AssetExecutionContext, dbt_serving: Dbt) -> Iterator[Any]:
    """Build the API's views and test them."""
    yield from build(context, "serving", dbt_serving)
