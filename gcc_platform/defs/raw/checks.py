"""The checks of the raw tables as Dagster's. The sensor runs them every 30 s, the job raw_checks by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from gcc_platform.defs.raw import ingest_assets, tables
from gcc_platform.defs.raw.evaluation import DESCRIPTIONS, findings, measure
from gcc_platform.defs.raw.materializations import last_reported
from gcc_platform.defs.resources import BrokerResource, ClickHouseResource
from gcc_platform.raw_checks import queues
from gcc_platform.raw_checks.finding import Finding
from ingest_service.broker.topology import UNROUTABLE_QUEUE
from ingest_service.urls import MissingUrl


@dg.multi_asset_check(
    name="check_raw_tables",
    can_subset=True,
    specs=[
        dg.AssetCheckSpec(name, asset=key, description=f"{description} docs/operations.md has an entry for `{name}`.")
        for key in tables.BY_KEY
        for name, description in DESCRIPTIONS.items()
    ],
)
def raw_checks(
    context: dg.AssetCheckExecutionContext, clickhouse: ClickHouseResource, broker: BrokerResource
) -> Iterator[dg.AssetCheckResult]:
    """Run the selected checks."""
    selected = context.selected_asset_check_keys
    reported = last_reported(context.instance, sorted({check.asset_key for check in selected}))
    now = datetime.now(UTC)
    with clickhouse.connect(check="raw_checks", run_id=context.run.run_id) as connection:
        measured = measure(connection, broker.url, reported, now)
    for key in reported:
        for finding in findings(key, measured, now):
            if dg.AssetCheckKey(key, finding.check) in selected:
                yield _result(key, finding)


@dg.asset_check(
    asset=ingest_assets.UNROUTABLE,
    name="empty",
    description="No message has a routing key that no queue is bound to. docs/operations.md has an entry for `empty`.",
)
def unroutable_check(broker: BrokerResource) -> dg.AssetCheckResult:
    """Ask the broker now. Raises MissingUrl."""
    if broker.url is None:
        raise MissingUrl("AMQP_URL")
    finding = queues.check_unroutable(queues.measure(broker.url, [UNROUTABLE_QUEUE]), UNROUTABLE_QUEUE)
    return _result(ingest_assets.UNROUTABLE, finding)


def severity(finding: Finding) -> dg.AssetCheckSeverity:
    """Dagster's word for it."""
    return dg.AssetCheckSeverity.ERROR if finding.is_error else dg.AssetCheckSeverity.WARN


def _result(key: dg.AssetKey, finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=finding.check,
        passed=finding.passed,
        severity=severity(finding),
        description=finding.description,
        metadata=dict(finding.numbers),
    )
