"""The job replay_dead_letters on real servers: it only reports until it is asked to publish."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gcc_platform.defs.raw.ingest_assets import DEAD_LETTERS
from gcc_platform.defs.replay.jobs import replay_dead_letters
from gcc_platform.defs.replay.selection import NotSelected, ReplayConfig
from ingest_service.archive.times import BadTime
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.settings import Settings
from tests.harness.archiving import archive_once, letter_headers, listed, put, waiting
from tests.harness.emptied import empty
from tests.harness.orders import order
from tests.harness.running import run

ORDERS, ASSETS = EVENT_TYPES["order_log"].queue, EVENT_TYPES["asset_log"].queue
Environment = Mapping[str, str]


@pytest.fixture
def letters(platform: Environment, tmp_path: Path) -> Environment:
    """Four archived letters: three orders, of which two are valid, and an asset that is not."""
    environment = {**platform, "GCC_ARCHIVE_URL": str(tmp_path), "GCC_ARCHIVE_SECONDS": "0.2"}
    assert run(environment, "init").returncode == 0
    empty(environment)
    day = "2026-01-{}T12:00:00.000+00:00"
    put(environment, "order_log", [
        (b"not json", letter_headers("not_json", day.format(10))),
        (order(2), letter_headers("refused_by_table", day.format(11))),
        (order(3), letter_headers("refused_by_table", day.format(12))),
    ])  # fmt: skip
    put(environment, "asset_log", [(b"four", letter_headers("not_json", day.format(11)))])
    assert archive_once(environment) == 4
    return environment


def replayed(**config: Any) -> dict[str, Any]:
    """Run the job: the metadata of its step, and of what it observed."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = replay_dead_letters.execute_in_process(
            run_config={"ops": {"publish_dead_letters": {"config": config}}}, instance=instance
        )
        [output] = [each for each in result.all_events if each.event_type == dg.DagsterEventType.STEP_OUTPUT]
        observed = instance.fetch_observations(DEAD_LETTERS, limit=5).records
    found = {name: value.value for name, value in output.step_output_data.metadata.items()}
    return {**found, "observed": [each.asset_observation.metadata["published_again"].value for each in observed]}


def test_without_configuration_it_reports_all_and_publishes_nothing(letters: Environment) -> None:
    found = replayed()
    assert (found["selected"], found["published"], found["observed"]) == (4, 0, [])
    assert (found["would_be_refused_again"], found["not_known"]) == (2, 2)
    assert {(row.data["event_type"], row.data["reason"], row.data["letters"]) for row in found["letters"].records} == {
        ("asset_log", "not_json", 1),
        ("order_log", "not_json", 1),
        ("order_log", "refused_by_table", 2),
    }
    assert waiting(letters, ORDERS) + waiting(letters, ASSETS) == 0


def test_it_publishes_what_is_selected_once(letters: Environment) -> None:
    chosen = {"event_type": "order_log", "reason": "refused_by_table", "dry_run": False}
    assert replayed(**chosen)["observed"] == [2]
    assert (waiting(letters, ORDERS), waiting(letters, ASSETS)) == (2, 0)
    assert {group["reason"]: group["replayed"] for group in listed(letters, "--type", "order_log")} == {
        "not_json": 0,
        "refused_by_table": 2,
    }
    assert replayed(**chosen)["published"] == 0
    assert replayed(**chosen, again=True)["published"] == 2


def test_since_until_and_the_limit_leave_the_others(letters: Environment) -> None:
    assert replayed(since="2026-01-11", until="2026-01-12", dry_run=True)["selected"] == 2
    found = replayed(event_type="order_log", limit=1, dry_run=False)
    assert (found["selected"], found["published"]) == (3, 1)
    assert replayed(everything=True, dry_run=False)["published"] == 3
    assert (waiting(letters, ORDERS), waiting(letters, ASSETS)) == (3, 1)


def test_a_server_that_is_not_configured_is_named(letters: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLICKHOUSE_URL")
    monkeypatch.setitem(Settings.model_config, "env_file", None)  # the checkout may have run a local stack
    with pytest.raises(dg.Failure, match="CLICKHOUSE_URL is not set"):
        replayed()


@pytest.mark.parametrize(
    ("config", "error", "text"),
    [
        ({"dry_run": False}, NotSelected, "everything: true"),
        ({"event_type": "orders"}, NotSelected, "no event type 'orders': one of affiliate_order"),
        ({"since": "yesterday"}, BadTime, "invalid time 'yesterday'"),
    ],
)
def test_what_selects_nothing_is_refused_in_words(config: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ReplayConfig(**config).selection()
