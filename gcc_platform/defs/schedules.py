"""Every 15 minutes: everything that can be built, in one run, and every check."""

import dagster as dg

ONE_AT_A_TIME = "gcc/one_at_a_time"
"""dagster.yaml allows one run per value of this tag."""

refresh = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.all().materializable() | dg.AssetSelection.all_asset_checks(),
    # dbt has threads of its own, and loading the code once per step would take longer than the steps do.
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
    description="Analytics and the API are at most about 15 minutes behind the crawl.",
)
