"""The job that observes the raw tables, builds every asset and runs every check, every 15 minutes."""

import dagster as dg

from gcc_platform.defs.raw import tables

ONE_AT_A_TIME = "gcc/one_at_a_time"
"""dagster.yaml permits one run per value of this tag."""

refresh = dg.define_asset_job(
    "refresh",
    selection=(
        dg.AssetSelection.assets(*tables.BY_KEY)
        | dg.AssetSelection.all().materializable()
        | dg.AssetSelection.all_asset_checks()
    ),
    # dbt has threads of its own, and loading the code in a process per step takes longer than the steps.
    executor_def=dg.in_process_executor,
    tags={ONE_AT_A_TIME: "refresh"},
    description="raw tables -> staging -> marts -> PostgreSQL -> the API's views, with every check on the way.",
)

every_15_minutes = dg.ScheduleDefinition(
    name="every_15_minutes",
    job=refresh,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Keeps analytics and the API at most about 15 minutes behind the crawl.",
)
