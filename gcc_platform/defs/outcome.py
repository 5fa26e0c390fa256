"""The outcome of a refresh: a model that fails keeps no other from being served, and the run fails at its end.

All models are built by one step. If it failed, Dagster would skip every step after it. So it notes the reason in a tag
of the run, and the last step of the job, which depends on nothing, fails with it.
"""

import dagster as dg

REFRESH = "refresh"
FAILED_MODELS = "gcc/failed_models"
_LAST = {"dagster/priority": "-100"}
_TAG_LENGTH = 2_000


def fail(context: dg.AssetExecutionContext, why: str) -> None:
    """Note that models failed. Raises dg.Failure in a run that has no last step to do so."""
    if context.run.job_name != REFRESH:
        raise dg.Failure(why, allow_retries=False)
    context.log.error(why)
    context.instance.add_run_tags(context.run.run_id, {FAILED_MODELS: why[:_TAG_LENGTH]})


@dg.asset(
    key=["platform", "refresh"],
    group_name="platform",
    kinds={"dagster"},
    owners=["team:platform"],
    op_tags=_LAST,
    description="The last complete refresh: everything was built and served. Fails if a model failed; what does not "
    "depend on that model was served nevertheless.",
)
def refresh_outcome(context: dg.AssetExecutionContext) -> None:
    """Fail with the reasons that an earlier step has noted."""
    run = context.instance.get_run_by_id(context.run.run_id)
    if why := (run.tags if run else {}).get(FAILED_MODELS):
        raise dg.Failure(why, allow_retries=False)
