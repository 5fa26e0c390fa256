"""The ingest service's part of the stack: topology and tables, empty before each test that asks for them."""

from collections.abc import Mapping

import pytest

from tests.harness import emptied, running


@pytest.fixture(scope="session")
def initialised(stack: Mapping[str, str]) -> Mapping[str, str]:
    """The stack's environment, with topology and tables made by `gcc-ingest init`."""
    done = running.run(stack, "init")
    assert done.returncode == 0, done.stderr.decode()
    return stack


@pytest.fixture
def environment(initialised: Mapping[str, str]) -> Mapping[str, str]:
    """The same, with every queue and raw table empty."""
    emptied.empty(initialised)
    return initialised
