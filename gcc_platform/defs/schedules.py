"""The jobs: `refresh` every 15 minutes, `raw_checks` by hand."""

import dagster as dg

from gcc_platform.defs import runs
from gcc_platform.defs.health.assets import KEY as HEALTH
from gcc_platform.defs.migration.keys import GROUP as MIGRATION
from gcc_platform.defs.outcome import REFRESH
from gcc_platform.defs.raw import ingest_assets, tables

ONE_AT_A_TIME = "gcc/one_at_a_time"
"""dagster.yaml permits one run per value of this tag."""

_RAW_CHECKS = dg.AssetSelection.checks_for_assets(*tables.BY_KEY, *ingest_assets.KEYS)

_MOST_SECONDS = "600"
"""Dagster ends a run after this time. Every statement and connection has a shorter limit of its own."""

refresh = dg.define_asset_job(
    REFRESH,
    selection=(
        dg.AssetSelection.assets(*tables.BY_KEY).without_checks()  # the sensor runs those, every 30 s
        | dg.AssetSelection.all().materializable()
        | (dg.AssetSelection.all_asset_checks() - _RAW_CHECKS - dg.AssetSelection.checks_for_assets(HEALTH))
    )
    - dg.AssetSelection.groups(MIGRATION),
    # dbt has threads of its own, and loading the code in a process per step takes longer than the steps.
    executor_def=dg.in_process_executor,
    tags={ONE_AT_A_TIME: REFRESH, "dagster/max_runtime": _MOST_SECONDS},
    description="raw tables -> staging -> marts -> PostgreSQL -> the API's views, with every check on the way.",
)

raw_checks = dg.define_asset_job(
    "raw_checks",
    selection=_RAW_CHECKS,
    executor_def=dg.in_process_executor,
    description="The checks of the raw tables and their queues, now. The sensor raw_tables runs them every 30 s.",
)


@dg.schedule(
    name="every_15_minutes",
    job=refresh,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Keeps analytics and the API at most about 15 minutes behind the crawl. Skips while a refresh runs.",
)
def every_15_minutes(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Request a refresh, unless one is under way: a second one would wait for it, and then refresh nothing."""
    if running := runs.unfinished(context.instance):
        return dg.SkipReason(f"the refresh that started {running.ago} is still running: {running.path}")
    return dg.RunRequest(tags={runs.STARTED_BY: "schedule"})
