"""The job `replay_dead_letters`, by hand: the code of `gcc-ingest dead-letters replay`."""

import asyncio
from typing import Any

import dagster as dg

from gcc_platform.defs.raw.ingest_assets import DEAD_LETTERS
from gcc_platform.defs.replay.selection import ReplayConfig
from gcc_platform.defs.schedules import ONE_AT_A_TIME
from ingest_service.archive import replay_plan
from ingest_service.archive.replay_plan import Plan
from ingest_service.errors import UserError
from ingest_service.observability import safe_text
from ingest_service.settings import Settings

_NAME = "replay_dead_letters"


@dg.op(name="publish_dead_letters", description="Publishes the selected dead letters, as events of their type.")
def _publish(context: dg.OpExecutionContext, config: ReplayConfig) -> None:
    try:
        plan, published = _replay(context, config)
    except UserError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    context.add_output_metadata(_numbers(plan, published))


def _replay(context: dg.OpExecutionContext, config: ReplayConfig) -> tuple[Plan, int]:
    """Plan, and publish unless it is a dry run; returns the number of letters published."""
    settings, selection = Settings(), config.selection()
    plan = asyncio.run(replay_plan.make(settings, selection, again=config.again, limit=config.limit))
    for line in plan.lines():
        context.log.info(line)
    if config.dry_run or not plan.count:
        context.log.info("nothing was published: %s", "dry_run is true" if config.dry_run else "no letter is selected")
        return plan, 0
    return plan, _carry_out(context, settings, plan)


def _carry_out(context: dg.OpExecutionContext, settings: Settings, plan: Plan) -> int:
    published = 0

    def recorded(letters: int) -> None:
        nonlocal published
        published += letters

    try:
        asyncio.run(replay_plan.carry_out(settings, plan, recorded))
    finally:  # an interrupted replay has published some
        context.log.info("%d letters published again and confirmed", published)
        context.log_event(dg.AssetObservation(DEAD_LETTERS, metadata={"published_again": published}))
    return published


def _numbers(plan: Plan, published: int) -> dict[str, Any]:
    found = plan.forecasts.total()
    rows = [
        dg.TableRecord(
            {
                "event_type": group.event_type,
                "reason": safe_text.line(group.reason),
                "letters": group.letters,
                "refused_again": plan.forecasts.of(group.event_type, group.reason).refused.total(),
            }
        )
        for group in plan.groups
    ]
    return {
        "selected": plan.selected,
        "published": published,
        "would_be_refused_again": found.refused.total(),
        "not_known": found.not_known,
        "address_not_their_types": found.elsewhere,
        "letters": dg.MetadataValue.table(rows) if rows else dg.MetadataValue.text("none"),
    }


@dg.job(
    name=_NAME,
    executor_def=dg.in_process_executor,
    tags={ONE_AT_A_TIME: _NAME, "dagster/max_runtime": "3600"},
    description="Publishes dead letters again, after the cause is fixed. Without configuration it only reports what it "
    "would publish: set dry_run to false in the launchpad. It uses AMQP_URL and CLICKHOUSE_URL of the ingest service.",
)
def replay_dead_letters() -> None:
    """Replay once."""
    _publish()
