"""What the ingest service writes besides the raw tables: dead letters, the ledger, and messages of no queue."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg

from gcc_platform.defs import code_references
from gcc_platform.defs.links import Links
from gcc_platform.defs.raw import ddl
from gcc_platform.defs.raw.columns import of_ddl
from gcc_platform.defs.reported import PASSED, Reported
from gcc_platform.raw_checks import totals
from gcc_platform.raw_checks.queues import Queues
from gcc_platform.resources.clickhouse import ClickHouse, table_uri
from gcc_platform.settings import Settings
from ingest_service.broker.topology import UNROUTABLE_QUEUE
from ingest_service.schema import inventory

DEAD_LETTERS = dg.AssetKey(["ingest", "dead_letters"])
LEDGER = dg.AssetKey(["ingest", "ingest_batches"])
UNROUTABLE = dg.AssetKey(["ingest", "unroutable"])
KEYS = (DEAD_LETTERS, LEDGER, UNROUTABLE)


def _spec(key: dg.AssetKey, kind: str, description: str, metadata: Mapping[str, Any]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        group_name="ingest",
        kinds={kind},
        owners=["team:ingest"],
        description=description,
        metadata=metadata,
    )


def _table(name: str, file: Path, settings: Settings) -> dict[str, Any]:
    return {
        "dagster/column_schema": of_ddl(file.read_text(), {}),
        "dagster/table_name": name,
        "dagster/uri": table_uri(settings, name),
        **code_references.metadata(code_references.of_file("table", file)),
    }


def specs() -> Iterator[dg.AssetSpec]:
    """The assets. Dagster runs nothing for them; the sensor raw_tables observes them."""
    links, settings = Links.from_environment(), Settings()
    yield _spec(
        DEAD_LETTERS,
        "clickhouse",
        "Messages that can never be stored, as gcc-ingest archive took them from the error queues. The job "
        "replay_dead_letters publishes them again, after the cause is fixed.",
        _table(inventory.DEAD_LETTERS, ddl.DEAD_LETTERS, settings)
        | links.metadata(
            query="SELECT event_type, reason, count(), max(last_rejected_at), any(detail)\n"
            f"FROM {inventory.DEAD_LETTERS} FINAL WHERE archived_at > now() - INTERVAL 1 DAY\n"
            "GROUP BY ALL ORDER BY count() DESC",
            runbook="Dead letters",
        ),
    )
    yield _spec(
        LEDGER,
        "clickhouse",
        "The ledger: a row per insert into a raw table, written by ClickHouse in the insert itself.",
        _table(inventory.LEDGER, ddl.LEDGER, settings)
        | links.metadata(
            query="SELECT type, count() AS inserts, sum(rows), max(attempts), sum(redelivered), max(landed_at)\n"
            f"FROM {inventory.LEDGER} WHERE landed_at > now() - INTERVAL 15 MINUTE GROUP BY type ORDER BY type",
            runbook="reconciled",
        ),
    )
    yield _spec(
        UNROUTABLE,
        "rabbitmq",
        "Messages with a routing key that no queue is bound to: the exchange would drop them otherwise.",
        {
            "queue": UNROUTABLE_QUEUE,
            **links.metadata(queues={"queue_page": UNROUTABLE_QUEUE}, runbook="UnroutableMessages"),
        },
    )


def observations(
    reported: Reported, clickhouse: ClickHouse, queues: Queues | None, now: datetime
) -> Iterator[dg.AssetObservation]:
    """The numbers of each, if they are due: the tables are not read otherwise. Raises ClickHouseFailed."""
    if reported.is_news("dead_letters", PASSED):
        yield _observation(DEAD_LETTERS, totals.of_dead_letters(clickhouse, now))
    if reported.is_news("ingest_batches", PASSED):
        yield _observation(LEDGER, totals.of_ledger(clickhouse, now))
    state = queues.states.get(UNROUTABLE_QUEUE) if queues else None
    if state and reported.is_news("unroutable", PASSED):
        yield _observation(UNROUTABLE, {"rows": state.ready, "queue_depth": state.ready, "consumers": state.consumers})


def _observation(key: dg.AssetKey, numbers: totals.Numbers) -> dg.AssetObservation:
    named = {"dagster/row_count" if name == "rows" else name: value for name, value in numbers.items()}
    return dg.AssetObservation(key, metadata=named)
