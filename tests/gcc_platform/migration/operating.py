"""gcc-platform migration, as an operator runs it on the tests' servers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from gcc_platform.commands.migration.group import migration
from tests.conftest import NAMES


def _mind_ctrl_c() -> None:
    """A shell has its background jobs ignore it, and they hand that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Operator:
    """Runs commands on the tests' servers."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        outside = {name: value for name, value in os.environ.items() if name not in NAMES}
        self._environment = {**outside, **environment, "GCC_MIGRATION_CHUNK_ROWS": "500", "GCC_MIGRATION_DAYS": "0"}
        self._folder = folder

    def setting(self, name: str, value: str) -> None:
        """For the commands that follow."""
        self._environment[name] = value

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [Path(sys.executable).with_name("gcc-platform"), "migration", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_mind_ctrl_c,  # noqa: PLW1509  no thread of the test holds a lock
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        """Its output, or its errors if there is none. In this process: starting one takes longer than its work."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self._folder)
            for name in NAMES:
                patch.delenv(name, raising=False)
            result = CliRunner(env=self._environment).invoke(migration, arguments)
        assert result.exit_code == code, result.output + repr(result.exception)
        return result.stdout or result.stderr

    def status(self) -> Sequence[Mapping[str, Any]]:
        return [json.loads(line) for line in self.run("status", "--json").splitlines()]


def fill(old: psycopg.Connection, rows: int) -> None:
    old.execute(
        "INSERT INTO profile_log (platform, profile_id, metrics, timestamp) SELECT 'INSTAGRAM', 'p' || i, "
        """'[{"key": "followers", "value": 5}]', timestamp '2026-01-01' + i * interval '1 second' """
        f"FROM generate_series(1, {rows}) AS i".encode()
    )
