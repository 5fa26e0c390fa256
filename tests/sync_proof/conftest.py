"""The session's servers, with a connection of each user."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gcc_platform.sync import key_ranges
from tests.sync_proof.servers import Servers, connected, superuser_url


@pytest.fixture
def servers(stack: Mapping[str, str], stack_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    monkeypatch.setattr(key_ranges, "LEAST_ROWS", 100)  # small marts have several ranges, as large ones do
    with connected(stack, superuser_url(stack, stack_folder)) as found:
        yield found
