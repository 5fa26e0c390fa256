"""A URL in the environment, or in .env, replaces that server of the stack."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gcc_platform.local_stack.ports import Ports, is_free
from gcc_platform.local_stack.stack import Stack

BROKER = "amqp://somebody:else@broker/"
CLICKHOUSE = "http://somebody:else@clickhouse:8123"


def in_environment(monkeypatch: pytest.MonkeyPatch, _: Path, **urls: str) -> None:
    for name, url in urls.items():
        monkeypatch.setenv(name, url)


def in_file(_: pytest.MonkeyPatch, directory: Path, **urls: str) -> None:
    (directory / ".env").write_text("".join(f"{name}={url}\n" for name, url in urls.items()))


@pytest.mark.parametrize("configure", [in_environment, in_file])
def test_a_configured_server_is_not_started_and_its_urls_pass_through(
    configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reader = "http://a:reader@clickhouse:8123"
    configure(monkeypatch, tmp_path, AMQP_URL=BROKER, CLICKHOUSE_URL=CLICKHOUSE, GCC_SYNC_CLICKHOUSE_URL=reader)
    ports = Ports.free()
    stack = Stack(tmp_path / "stack", ports, fast=True)
    heard: list[str] = []
    environment = stack.start(heard.append)
    try:
        assert {name: url for name, url in environment.items() if not re.search("POSTGRES|ALERT", name)} == {
            "AMQP_URL": BROKER,
            "CLICKHOUSE_URL": CLICKHOUSE,
            "GCC_SYNC_CLICKHOUSE_URL": reader,
        }
        assert heard[:2] == ["RabbitMQ is configured in the environment", "ClickHouse is configured in the environment"]
        assert [server.state for server in stack.status()] == ["external", "external", "running", "running"]
        assert is_free(ports.amqp)
        assert is_free(ports.clickhouse_http)
    finally:
        stack.stop()
