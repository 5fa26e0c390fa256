"""Links lead to the pages of the servers, without users and passwords."""

from base64 import b64decode

import pytest

from gcc_platform.defs.links import Links
from gcc_platform.watch.settings import WatchSettings


@pytest.fixture(autouse=True)
def _urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://crawler:secret@broker.example:5672/beat%2Fprod")
    monkeypatch.setenv("RABBITMQ_MANAGEMENT_URL", "https://guest:secret@broker.example:15671")
    monkeypatch.setenv("GCC_READER_CLICKHOUSE_URL", "https://analyst:secret@clickhouse.example:8443")
    monkeypatch.setenv("GCC_WATCH_URL", "https://watch.example")


def test_links_lead_to_the_queue_the_query_and_the_runbook_without_a_password() -> None:
    found = {
        label: value.value
        for label, value in Links.from_environment()
        .metadata(queues={"queue_page": "order_log_events_q"}, query="SELECT 'ä'", runbook="The ingest service")
        .items()
    }
    assert found["queue_page"] == "https://broker.example:15671/#/queues/beat%2Fprod/order_log_events_q"
    page, _, query = (found["query"] or "").partition("#")
    assert page == "https://clickhouse.example:8443/play"
    assert b64decode(query).decode() == "SELECT 'ä'"
    assert found["runbook"] == "https://watch.example/runbook#the-ingest-service"
    assert "secret" not in str(found)


def test_the_default_virtual_host_is_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://broker.example/")
    assert (
        Links.from_environment().metadata(queues={"q": "x"})["q"].value == "https://broker.example:15671/#/queues/%2F/x"
    )


def test_what_is_not_set_or_malformed_has_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCC_READER_CLICKHOUSE_URL", "nonsense")
    monkeypatch.setenv("RABBITMQ_MANAGEMENT_URL", "")
    monkeypatch.setitem(WatchSettings.model_config, "env_file", None)  # the checkout may have run a local stack
    assert set(Links.from_environment().metadata(queues={"q": "x"}, query="SELECT 1", runbook="Checks")) == {"runbook"}
