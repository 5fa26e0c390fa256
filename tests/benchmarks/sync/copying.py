"""The wide table copied by the sync, by dlt, and by COPY of a ready file, which is the limit."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psycopg

from gcc_platform.local_stack.postgres import SUPERUSER
from tests.benchmarks.bench import Bench
from tests.benchmarks.sync import wide_table
from tests.benchmarks.sync.cost import Cost, measured
from tests.conftest import NAMES

OURS, DLT, READY = "this sync", "dlt 1.31.0, pyarrow", "COPY of a ready file"
_DLT_PACKAGES = ("dlt[postgres,sql-database]==1.31.0", "clickhouse-sqlalchemy==0.3.2", "pyarrow", "sqlalchemy<2.1")
_UV = Path(sys.executable).with_name("uv")
_ROOT = Path(__file__).parents[3]
_LATEST_SECONDS = 3600
_BUFFER = 1 << 20


class Copied(msgspec.Struct, frozen=True):
    """One copy of all rows, until it is served: with the primary key and ANALYZE where the tool makes them."""

    cost: Cost
    seconds: float
    """Without the start of the process."""
    megabytes: float
    grown_megabytes: float
    """The most memory of the process at its start, and by how much it grew."""


class Comparison(msgspec.Struct, frozen=True):
    """The same rows by each way, in turns."""

    rows: int
    runs: dict[str, list[Copied]]


def compare(bench: Bench, rows: int, rounds: int, say: Callable[[str], None]) -> Comparison:
    """Copy the table in each way. dlt, which is slow, is measured once."""
    wide_table.make(bench, rows)
    ready = bench.folder / "ready.tsv"
    runs: dict[str, list[Copied]] = {OURS: [], READY: [], DLT: []}
    for number in range(rounds):
        runs[OURS].append(_ours(bench))
        if not ready.exists():
            _export(bench, ready)
        runs[READY].append(_ready_file(bench, ready))
        if number == 0:
            runs[DLT].append(_dlt(bench))
        for name, found in runs.items():
            if len(found) > number:
                say(f"  round {number + 1}: {name}: {found[-1].seconds:.1f} s, +{found[-1].grown_megabytes:.0f} MB")
    ready.unlink()
    wide_table.forget(bench)
    _forget(bench)
    return Comparison(rows, runs)


def _ours(bench: Bench) -> Copied:
    outside = {name: value for name, value in os.environ.items() if name not in NAMES}
    command = (sys.executable, "-m", "tests.benchmarks.sync.one_copy")
    return _run(bench, command, {**outside, **bench.environment})


def _dlt(bench: Bench) -> Copied:
    python = _with_dlt(bench.folder / "dlt")
    server = urlsplit(bench.environment["GCC_SYNC_CLICKHOUSE_URL"])
    source = f"clickhouse+http://{server.username}:{server.password}@{server.hostname}:{server.port}/warehouse"
    script = _ROOT / "tests/benchmarks/sync/dlt_copy.py"
    command = (str(python), "-P", str(script), source, _superuser(bench), str(bench.folder / "pipelines"))
    return _run(bench, command, {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false"})


def _with_dlt(folder: Path) -> Path:
    """The Python of a virtual environment with dlt, which is no dependency of ours."""
    python = folder / "bin" / "python"
    if not python.exists():
        for command in (
            ("venv", "--quiet", "--python", sys.executable, folder),
            ("pip", "install", "--quiet", "--python", python, *_DLT_PACKAGES),
        ):
            subprocess.run([_UV, *command], check=True, timeout=_LATEST_SECONDS)
    return python


def _run(bench: Bench, command: Sequence[str], environment: dict[str, str]) -> Copied:
    with measured(bench) as result:
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=_LATEST_SECONDS, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{command[:3]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Copied(result.cost, found["seconds"], found["megabytes"], found["grown_megabytes"])


def _export(bench: Bench, ready: Path) -> None:
    """The file holds the rows as they are served."""
    with (
        psycopg.connect(_superuser(bench)) as connection,
        connection.cursor() as cursor,
        ready.open("wb") as file,
        cursor.copy(f"COPY (SELECT * FROM serving.{wide_table.MART.name}) TO STDOUT".encode()) as copy,
    ):
        for chunk in copy:
            file.write(chunk)


def _ready_file(bench: Bench, ready: Path) -> Copied:
    """What any client must do: send the rows, and make the primary key and statistics."""
    with psycopg.connect(_superuser(bench), autocommit=True) as connection, measured(bench) as result:
        connection.execute("CREATE SCHEMA IF NOT EXISTS bench_ready")
        connection.execute("DROP TABLE IF EXISTS bench_ready.rows")
        began = time.monotonic()
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE bench_ready.rows (LIKE serving.{wide_table.MART.name})".encode())
            with ready.open("rb") as file, cursor.copy("COPY bench_ready.rows FROM STDIN WITH (FREEZE)") as copy:
                while chunk := file.read(_BUFFER):
                    copy.write(chunk)
            cursor.execute(
                f"ALTER TABLE bench_ready.rows ADD PRIMARY KEY ({', '.join(wide_table.MART.grain)})".encode()
            )
            cursor.execute("ANALYZE bench_ready.rows")
        seconds = time.monotonic() - began
    return Copied(result.cost, seconds, 0, 0)


def _forget(bench: Bench) -> None:
    with psycopg.connect(_superuser(bench), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS bench_ready, bench_dlt, bench_dlt_staging CASCADE")


def _superuser(bench: Bench) -> str:
    server = bench.server("PostgreSQL")
    return server.url("postgresql", SUPERUSER, server.ports.postgres, "/gcc")
