"""The code location: the definitions of the folders below defs/, and their resources."""

import dagster as dg

from gcc_platform.defs import outcome, schedules
from gcc_platform.defs.health import assets as health
from gcc_platform.defs.migration import group as migration
from gcc_platform.defs.raw import assets as raw_assets
from gcc_platform.defs.raw import checks as raw_checks
from gcc_platform.defs.raw import ingest_assets
from gcc_platform.defs.raw import sensors as raw_sensors
from gcc_platform.defs.replay import jobs as replay
from gcc_platform.defs.resources import BrokerResource, ClickHouseResource, PostgresResource
from gcc_platform.defs.retention import jobs as retention
from gcc_platform.defs.serving import api_views as serving_api_views
from gcc_platform.defs.serving import assets as serving_assets
from gcc_platform.defs.warehouse import assets as warehouse_assets
from gcc_platform.migration.settings import MigrationSettings
from gcc_platform.resources.dbt import dbt_resource

defs = dg.Definitions.merge(
    dg.Definitions(
        assets=[raw_assets.raw_tables, *ingest_assets.specs()],
        asset_checks=[raw_checks.raw_checks, raw_checks.unroutable_check],
        sensors=[raw_sensors.raw_tables_sensor],
    ),
    dg.Definitions(assets=[warehouse_assets.warehouse]),
    dg.Definitions(
        assets=[*serving_assets.served_marts, serving_api_views.api_views, outcome.refresh_outcome],
    ),
    dg.Definitions(assets=[health.health], asset_checks=[health.health_checks], sensors=[health.health_sensor]),
    dg.Definitions(jobs=[retention.prune], schedules=[retention.daily]),
    migration.definitions(is_on=MigrationSettings().is_on),
    dg.Definitions(jobs=[replay.replay_dead_letters]),
    dg.Definitions(jobs=[schedules.refresh, schedules.raw_checks], schedules=[schedules.every_15_minutes]),
    dg.Definitions(
        resources={
            "broker": BrokerResource(),
            "clickhouse": ClickHouseResource(),
            "postgres": PostgresResource(),
            "dbt_warehouse": dbt_resource("warehouse"),
            "dbt_serving": dbt_resource("serving"),
        }
    ),
)
