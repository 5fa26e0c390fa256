"""The marts in PostgreSQL: one synced table per mart, which the API's views read."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from gcc_platform.defs import limits
from gcc_platform.defs.resources import ClickHouseResource, PostgresResource
from gcc_platform.resources.dbt_project import manifest
from gcc_platform.settings import Settings
from gcc_platform.sync.marts import Mart, marts_of
from gcc_platform.sync.outcome import Options, Synced
from gcc_platform.sync.stage import row_source
from gcc_platform.sync.syncing import sync

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
        settings = Settings()
        with (
            clickhouse.connect(mart=mart.name, run_id=context.run.run_id) as source,
            postgres.connect(f"sync {mart.name} {context.run.run_id[:8]}") as target,
            row_source(settings.urls.sync_stage, source, mart.name, context.run.run_id) as rows,
        ):
            options = Options(max_fall=settings.sync_max_fall, run_id=context.run.run_id)
            synced = sync(source, target, mart, options, rows)
        if synced.cleaned:
            context.log.warning(
                "values of %s that PostgreSQL cannot hold (NUL, bad UTF-8, nanoseconds) were changed: %s",
                mart.name,
                ", ".join(f"{count} of {column}" for column, count in synced.cleaned.items()),
            )
        return dg.MaterializeResult(metadata=_metadata(synced), check_results=[_as_loaded(synced), _parity(synced)])

    return serve


def _as_loaded(synced: Synced) -> dg.AssetCheckResult:
    """Twice in a row is an error: what was repaired did not stay so."""
    found = synced.findings
    return dg.AssetCheckResult(
        check_name="served_as_loaded",
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if synced.differences > 1 else dg.AssetCheckSeverity.WARN,
        description=f"{'; '.join(found)}. Repaired." if found else "as it was loaded",
        metadata={
            "compared_rows": synced.compared.rows,
            "compared_ranges": synced.compared.ranges,
            "syncs_in_a_row": synced.differences,
        },
    )


def _parity(synced: Synced) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="row_parity",
        passed=synced.rows == synced.mart_rows,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{synced.rows} rows are served, the mart has {synced.mart_rows}",
        metadata={"clickhouse_rows": synced.mart_rows, "postgres_rows": synced.rows},
    )


def _metadata(synced: Synced) -> dict[str, Any]:
    """Numbers, which Dagster plots over the runs."""
    return {
        "dagster/row_count": synced.rows,
        "mode": str(synced.mode),
        "reason": synced.reason,
        "rows_inserted": synced.inserted,
        "rows_updated": synced.updated,
        "rows_deleted": synced.deleted,
        "sent_bytes": synced.sent_bytes,
        "wal_bytes": synced.wal_bytes,
        "table_bytes": synced.table_bytes,
        "seconds": round(synced.seconds, 3),
        "compared_seconds": round(synced.compared.seconds, 3),
        "swap_attempts": synced.swap_attempts,
        "values_cleaned": sum(synced.cleaned.values()),
    }


served_marts = [_served_asset(mart) for mart in MARTS]
