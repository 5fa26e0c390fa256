"""A sensor that observes the raw tables every minute."""

import dagster as dg

from gcc_platform.defs.raw import tables
from gcc_platform.defs.raw.materializations import last_reported, metadata
from gcc_platform.defs.raw.table_stats import arrivals
from gcc_platform.defs.resources import ClickHouseResource


@dg.sensor(
    name="raw_arrivals",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Observes the row counts and the newest rows of the raw tables every minute.",
)
def raw_arrivals(context: dg.SensorEvaluationContext, clickhouse: ClickHouseResource) -> dg.SensorResult:
    """Observe every table. The refresh reports the materializations."""
    reported = last_reported(context.instance, tables.BY_KEY)
    with clickhouse.connect(sensor="raw_arrivals") as connection:
        found = arrivals(connection, reported)
    return dg.SensorResult(
        asset_events=[dg.AssetObservation(key, metadata=metadata(arrived)) for key, arrived in found.items()],
        skip_reason=f"This sensor requests no runs. It observed {len(found)} tables.",
    )
