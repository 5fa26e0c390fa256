"""The job `prune`, daily."""

from datetime import UTC, datetime

import dagster as dg

from gcc_platform.dagster_home import location
from gcc_platform.retention.prune import prune as prune_history
from gcc_platform.retention.settings import RetentionSettings


@dg.op(name="prune_history", description="Deletes runs, events and files that are older than their limits.")
def _prune(context: dg.OpExecutionContext) -> None:
    pruned = prune_history(
        context.instance, RetentionSettings(), datetime.now(UTC), location(), dry_run=False, report=context.log.warning
    )
    context.log.info(
        "deleted %d runs, %d events and %d folders of dbt; %.1f MB became %.1f MB",
        pruned.runs,
        pruned.events,
        pruned.dbt_folders,
        pruned.bytes_before / 1e6,
        pruned.bytes_after / 1e6,
    )


@dg.job(
    name="prune",
    executor_def=dg.in_process_executor,
    tags={"dagster/max_runtime": "3600"},
    description="Keeps Dagster's history small: GCC_RETENTION_DAYS and its like are the limits.",
)
def prune() -> None:
    """Prune once."""
    _prune()


daily = dg.ScheduleDefinition(
    name="daily_prune",
    job=prune,
    cron_schedule="7 3 * * *",  # between two refreshes
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Prunes Dagster's history at 03:07 UTC.",
)
