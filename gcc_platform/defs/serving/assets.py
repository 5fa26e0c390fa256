"""The marts in PostgreSQL: one synced table per mart, which the API's views read."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from gcc_platform.defs import limits
from gcc_platform.defs.resources import ClickHouseResource, PostgresResource
from gcc_platform.resources.dbt_project import manifest
from gcc_platform.sync.marts import Mart, marts_of
from gcc_platform.sync.snapshot import Snapshot, new_version, sync

MARTS = marts_of(manifest("warehouse"))


def served(mart: Mart) -> dg.AssetKey:
    """The asset of a mart in PostgreSQL."""
    return dg.AssetKey(["serving", mart.name])


def _checks(mart: Mart) -> Iterator[dg.AssetCheckSpec]:
    yield dg.AssetCheckSpec(
        "served_as_loaded",
        asset=served(mart),
        description=f"Nobody has changed serving.{mart.name} in PostgreSQL since it was loaded. If somebody has, this "
        "run has loaded it again.",
    )
    yield dg.AssetCheckSpec(
        "row_parity",
        asset=served(mart),
        blocking=True,
        description=f"serving.{mart.name} has as many rows as {mart.database}.{mart.name} in ClickHouse.",
    )


def _served_asset(mart: Mart) -> dg.AssetsDefinition:
    @dg.asset(
        key=served(mart),
        deps=[dg.AssetKey(["marts", mart.name])],
        group_name="serving",
        kinds={"postgres", "python"},
        owners=["team:platform"],
        description=f"{mart.name} in the API's database, replaced atomically. {mart.description}".strip(),
        metadata={"dagster/table_name": f"serving.{mart.name}", "grain": ", ".join(mart.grain)},
        freshness_policy=limits.of_mart(mart.name),
        check_specs=list(_checks(mart)),
    )
    def serve(
        context: dg.AssetExecutionContext, clickhouse: ClickHouseResource, postgres: PostgresResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster recognizes only the bare class
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
        return dg.MaterializeResult(
            metadata=_metadata(snapshot), check_results=[_as_loaded(snapshot), _parity(snapshot)]
        )

    return serve


def _as_loaded(snapshot: Snapshot) -> dg.AssetCheckResult:
    drift = snapshot.drift
    return dg.AssetCheckResult(
        check_name="served_as_loaded",
        passed=drift is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{drift.description}. Loaded again." if drift else "as it was loaded",
        metadata={
            "loaded_rows": drift.loaded_rows if drift else snapshot.rows,
            "served_rows": drift.served_rows if drift else snapshot.rows,
            "changed_rows": drift.changed_rows if drift else 0,
        },
    )


def _parity(snapshot: Snapshot) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="row_parity",
        passed=snapshot.rows == snapshot.mart_rows,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{snapshot.rows} rows are served, the mart has {snapshot.mart_rows}",
        metadata={"clickhouse_rows": snapshot.mart_rows, "postgres_rows": snapshot.rows},
    )


def _metadata(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "dagster/row_count": snapshot.rows,
        "version": snapshot.version,
        "copied": snapshot.is_copied,
        "seconds": round(snapshot.seconds, 3),
        "sent_bytes": snapshot.sent_bytes,
        "table_bytes": snapshot.table_bytes,
        "swap_attempts": snapshot.swap_attempts,
    }


served_marts = [_served_asset(mart) for mart in MARTS]
