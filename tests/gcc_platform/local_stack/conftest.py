"""An environment in which nothing names a server, and the command line run as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from gcc_platform.local_stack.ports import Ports, variable
from tests.conftest import NAMES

AS_ORDINARY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No URL in the environment, no .env in the working directory."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def run_stack(
    *arguments: str | Path, ports: Ports, cwd: Path, prefix: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """`gcc-platform stack ...` in a process of its own."""
    names = {variable(name): str(port) for name, port in asdict(ports).items()}
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    return subprocess.run(
        [*prefix, sys.executable, "-c", "from gcc_platform.cli import main; main()", "stack", *arguments],
        env=clean | names | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def ordinary_user() -> Sequence[str] | None:
    """What to put before a command so that it runs without root's powers; None where that is impossible."""
    if os.geteuid() != 0:
        return ()
    possible = subprocess.run([*AS_ORDINARY_USER, "true"], check=False, capture_output=True).returncode == 0
    return AS_ORDINARY_USER if possible else None
