"""An archive of each test's own."""

from collections.abc import Mapping
from pathlib import Path

import pytest


@pytest.fixture
def environment(environment: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    """The stack's environment with empty queues and tables, and an empty archive."""
    return {**environment, "GCC_ARCHIVE_URL": str(tmp_path / "archive"), "GCC_ARCHIVE_SECONDS": "0.2"}
