"""The jobs of the migration: a slice of the backfill, the nightly comparison, and a table's next phase."""

import asyncio

import dagster as dg

from gcc_platform.defs.migration import keys
from gcc_platform.migration.advancing import advance
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.phases.deciding import Decision
from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.servers import connect
from gcc_platform.migration.settings import MigrationSettings

_ONE_AT_A_TIME = "gcc/one_at_a_time"
_DAY_SECONDS = "86400"
_BACKFILLS = dg.AssetSelection.assets(*(keys.backfill(table) for table in LEGACY_TABLES))
_GROUP = dg.AssetSelection.groups(keys.GROUP)

migration_backfill = dg.define_asset_job(
    "migration_backfill",
    selection=_BACKFILLS & _GROUP,
    executor_def=dg.in_process_executor,
    tags={_ONE_AT_A_TIME: "migration_backfill", "dagster/max_runtime": _DAY_SECONDS},
    description="A slice of every table's backfill, GCC_MIGRATION_SLICE_ROWS at most. Refreshes go on beside it.",
)

migration_nightly = dg.define_asset_job(
    "migration_nightly",
    selection=_GROUP - _BACKFILLS,
    executor_def=dg.in_process_executor,
    tags={_ONE_AT_A_TIME: "migration_nightly", "dagster/max_runtime": _DAY_SECONDS},
    description="Compares both sides of every table, seals what is equal, and measures the gates.",
)

nightly = dg.ScheduleDefinition(
    name="migration_nightly",
    job=migration_nightly,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Compares both sides at 02:00 UTC.",
)

slices = dg.ScheduleDefinition(
    name="migration_backfill",
    job=migration_backfill,
    cron_schedule="5-59/15 * * * *",  # between two refreshes
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="A slice of the backfill between two refreshes, where no gcc-platform migration backfill runs.",
)


class Step(dg.Config):
    """The step that a run takes."""

    table: str
    phase: str
    by: str = "Dagster"
    dry_run: bool = False


@dg.op(description="Measures the gates, and lets the table enter its next phase if all of them are green.")
def enter_phase(context: dg.OpExecutionContext, config: Step) -> None:
    """Fails with the red gates."""
    decision = asyncio.run(_decide(config))
    for gate in decision.gates:
        context.log.info("%s %s: %s", "green" if gate.passed else "red", gate.gate, gate.reason)
    context.add_output_metadata({"gates": dg.MetadataValue.md(_markdown(decision)), "then": decision.instruction})
    if decision.red:
        raise dg.Failure(
            f"{decision.table}: {decision.came_from} -> {decision.phase} is refused by "
            f"{', '.join(each.gate for each in decision.red)}",
            metadata={"gates": dg.MetadataValue.md(_markdown(decision))},
            allow_retries=False,
        )


@dg.job(
    name="migration_advance",
    executor_def=dg.in_process_executor,
    tags={_ONE_AT_A_TIME: "migration_advance", "dagster/max_runtime": "3600"},
    config=dg.RunConfig(ops={"enter_phase": Step(table="profile_log", phase=Phase.DUAL.value, dry_run=True)}),
    description="Lets a table enter its next phase, if its gates are green. Give table, phase and dry_run=False.",
)
def migration_advance() -> None:
    """One step of one table."""
    enter_phase()


async def _decide(config: Step) -> Decision:
    async with connect(MigrationSettings()) as servers:
        table = LEGACY_TABLES[config.table]
        return await advance(servers, table, Phase(config.phase), config.by, dry_run=config.dry_run)


def _markdown(decision: Decision) -> str:
    lines = ["| gate | | |", "| --- | --- | --- |"]
    lines += [f"| {each.gate} | {'green' if each.passed else 'red'} | {each.reason} |" for each in decision.gates]
    return "\n".join(lines)
