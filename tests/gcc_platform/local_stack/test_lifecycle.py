"""A whole stack from the command line, as an ordinary user, in a directory with spaces.

The stack that all other tests share is started in this process, as the user that runs pytest: often root.
"""

import asyncio
import contextlib
import fcntl
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.request import urlopen

import aio_pika
import psycopg
import pytest
from clickhouse_connect import get_client

from gcc_platform.local_stack.ports import Ports, is_free
from gcc_platform.local_stack.stack import Stack
from tests.conftest import NAMES
from tests.gcc_platform.local_stack.conftest import run_stack

SECRET = re.compile(r"[\w-]{32}")


@dataclass
class Started:
    """A stack that was started by the command line."""

    directory: Path
    ports: Ports
    prefix: Sequence[str]
    printed: subprocess.CompletedProcess[str]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_stack(
            *arguments,
            *("--dir", self.directory),
            ports=self.ports,
            cwd=self.directory.parent,
            prefix=self.prefix,
            **environment,
        )

    @property
    def environment(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.printed.stdout.splitlines())

    def pids(self) -> list[int]:
        return [server["pid"] for server in json.loads(self.run("status", "--json").stdout)]


@pytest.fixture(scope="module")
def started(ordinary_user: Sequence[str] | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    directory = tmp_path_factory.mktemp("lifecycle") / "with spaces & 'quotes'"
    ports, prefix = Ports.free(), ordinary_user or ()
    printed = run_stack("start", "--dir", directory, ports=ports, cwd=directory.parent, prefix=prefix)
    assert printed.returncode == 0, printed.stderr
    started = Started(directory, ports, prefix, printed)
    yield started
    Stack(directory, ports, fast=True).stop()


def test_start_prints_a_name_value_line_for_every_url_and_nothing_else(started: Started) -> None:
    lines = started.printed.stdout.splitlines()
    assert sorted(line.split("=", 1)[0] for line in lines) == sorted(NAMES)
    assert not [line for line in lines if re.search(r"[\s'\"$\\]", line)]


def test_progress_goes_to_stderr_without_secrets(started: Started) -> None:
    for name in ("RabbitMQ", "ClickHouse", "PostgreSQL"):
        assert f"{name} is ready" in started.printed.stderr
    assert not SECRET.search(started.printed.stderr)


def test_only_the_owner_may_enter_the_folders_of_the_stack(started: Started) -> None:
    folders = [started.directory, *(path for path in started.directory.iterdir() if path.is_dir())]
    assert len(folders) >= 4
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_every_url_has_a_password_of_its_own(started: Started) -> None:
    passwords = {re.sub(r".*://\w+:(.+)@.*", r"\1", url) for url in started.environment.values()}
    assert len(passwords) == len(NAMES) - 1  # RabbitMQ has two URLs for one user
    assert all(len(password) >= 32 for password in passwords)


def test_passwords_are_only_in_files_nobody_else_can_read(started: Started) -> None:
    passwords = [url.split(":")[2].split("@")[0].encode() for url in started.environment.values()]
    for path in (path for path in started.directory.rglob("*") if path.is_file()):
        if any(password in path.read_bytes() for password in passwords):
            assert path.stat().st_mode & 0o077 == 0, path
    assert (started.directory / "stack.json").stat().st_mode & 0o777 == 0o600


def test_everything_listens_on_loopback_only(started: Started) -> None:
    sessions = {_session(pid) for pid in started.pids()}
    pids = [int(process.name) for process in Path("/proc").glob("[0-9]*")]
    sockets = {inode for pid in pids if _session(pid) in sessions for inode in _sockets(pid)}
    ours = [address for inode, address in _listening().items() if inode in sockets]
    assert len(ours) >= len(asdict(started.ports))
    assert all(address.startswith("0100007F:") for address in ours), ours  # 127.0.0.1, as the kernel writes it


def _listening() -> dict[str, str]:
    """The address of every listening TCP socket, by inode, as /proc/net has them: `ss` is not everywhere."""
    found = {}
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            _, address, _, state, *_, inode = line.split()[:10]
            if state == "0A":
                found[inode] = address
    return found


def _sockets(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):  # it may end meanwhile
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    yield target[8:-1]


def test_status_of_running_servers_exits_with_0_and_tells_ports_and_logs(started: Started) -> None:
    status = started.run("status", "--json")
    assert status.returncode == 0
    servers = json.loads(status.stdout)
    assert [server["state"] for server in servers] == ["running"] * 4
    assert {name: port for server in servers for name, port in server["ports"].items()} == asdict(started.ports)
    assert all(Path(server["log"]).exists() for server in servers)
    table = started.run("status")
    assert [line.split()[:2] for line in table.stdout.splitlines()] == [
        ["RabbitMQ", "running"],
        ["ClickHouse", "running"],
        ["PostgreSQL", "running"],
        ["Alertmanager", "running"],
    ]


def test_a_second_start_reuses_running_servers_even_with_their_urls_exported(started: Started) -> None:
    pids = started.pids()
    again = started.run("start", **started.environment)
    assert (again.returncode, again.stdout) == (0, started.printed.stdout)
    assert again.stderr.count("was running") == 4
    assert started.pids() == pids


def test_a_running_server_keeps_its_port_when_the_configured_one_changes(started: Started) -> None:
    again = started.run("start", GCC_LOCAL_POSTGRES_PORT="1", GCC_LOCAL_AMQP_PORT="2")
    assert (again.returncode, again.stdout) == (0, started.printed.stdout)


@pytest.mark.parametrize("command", ["start", "stop"])
def test_a_locked_directory_is_refused_with_who_holds_it(started: Started, command: str) -> None:
    with (started.directory / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 4711 (gcc-platform stack stop)\n")
        lock.flush()
        refused = started.run(command)
        lock.truncate(0)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {started.directory} is locked by process 4711 (gcc-platform stack stop)")


def test_the_management_plugin_serves_its_pages(started: Started) -> None:
    with urlopen(f"http://127.0.0.1:{started.ports.management}/") as page:
        assert b"RabbitMQ" in page.read()


def test_stop_leaves_no_process_and_a_restart_has_the_same_urls_and_the_data(started: Started) -> None:
    environment = started.environment
    asyncio.run(_publish(environment["AMQP_URL"]))
    with get_client(dsn=environment["CLICKHOUSE_URL"]) as clickhouse:
        clickhouse.command("CREATE DATABASE IF NOT EXISTS _e")
        clickhouse.command("CREATE TABLE _e.kept (id UInt64) ENGINE = MergeTree ORDER BY id")
        clickhouse.command("INSERT INTO _e.kept VALUES (7)")
    with psycopg.connect(environment["POSTGRES_URL"]) as postgres:
        postgres.execute("CREATE TABLE serving_data.kept AS SELECT 7 AS id")

    pids = started.pids()
    sessions = {_session(pid) for pid in pids}
    stopped = started.run("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "")
    assert _alive(started.directory, sessions) == []
    assert all(map(is_free, asdict(started.ports).values()))
    assert started.run("status").returncode == 3
    assert started.run("stop").returncode == 0

    again = started.run("start")
    assert (again.returncode, again.stdout) == (0, started.printed.stdout), again.stderr
    assert asyncio.run(_receive(environment["AMQP_URL"])) == b"kept"
    with get_client(dsn=environment["CLICKHOUSE_URL"]) as clickhouse:
        assert clickhouse.query("SELECT id FROM _e.kept").result_rows == [(7,)]
        logged = "SELECT count() FROM system.query_log WHERE query LIKE 'INSERT INTO _e.kept%'"
        assert clickhouse.query(logged).result_rows[0][0] > 0
    with psycopg.connect(environment["POSTGRES_URL"]) as postgres:
        assert postgres.execute("SELECT id FROM serving_data.kept").fetchall() == [(7,)]


def test_all_of_it_runs_as_an_ordinary_user(started: Started, ordinary_user: Sequence[str] | None) -> None:
    if ordinary_user is None:
        pytest.skip("this root may not become an ordinary user: unshare --user is forbidden here")
    for pid in started.pids():
        status = Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^CapEff:\s0+$", status, re.MULTILINE), status


async def _publish(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(b"kept", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue.name)


async def _receive(url: str) -> bytes:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue("kept")
        message = await queue.get(timeout=10)
        await message.ack()
        return message.body


def _session(pid: int) -> int | None:
    """The session of a process: the pid of the server that it belongs to."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3])
    except (OSError, ValueError):
        return None


def _alive(directory: Path, sessions: set[int | None]) -> list[int]:
    """The processes that belong to the sessions, or have the directory in their command or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        zombie = not command
        ours = _session(int(process.name)) in sessions or str(directory).encode() in command + environment
        if ours and not zombie:
            found.append(int(process.name))
    return found
