"""The supported versions are stated once, and the document repeats them."""

import re
from pathlib import Path

import pytest

from gcc_platform.commands import server_versions

OPERATIONS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()


@pytest.mark.parametrize(
    ("server", "version", "ok"),
    [
        ("RabbitMQ", "3.10.8", True),
        ("RabbitMQ", "3.9.29", False),
        ("RabbitMQ", "4.0.0-rc.1", True),
        ("ClickHouse", "25.3.1.1", True),
        ("ClickHouse", "24.12.6.70", False),
        ("PostgreSQL", "14.13 (Debian 14.13-1)", True),
        ("PostgreSQL", "13.16", False),
        ("PostgreSQL", "18beta1", True),
        ("RabbitMQ", "unknown", False),
    ],
)
def test_a_version_that_is_too_old_or_unknown_is_named_with_the_oldest_one(server: str, version: str, ok: bool) -> None:
    finding = server_versions.check("subject", server, version)
    assert (finding.ok, finding.message) == (ok, f"version {version}")
    assert finding.advice == f"upgrade to {'.'.join(map(str, server_versions.OLDEST[server]))} or newer"


def test_the_document_states_the_same_versions() -> None:
    stated = dict(re.findall(r"^\| (\w+) \| (\d+(?:\.\d+)?) \|", OPERATIONS, re.MULTILINE))
    assert stated == {name: ".".join(map(str, oldest)) for name, oldest in server_versions.OLDEST.items()}
