"""A private ClickHouse server: `clickhouse` from PATH, else the engine inside chdb-core."""

import http.client
import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import ClassVar

from gcc_platform.local_stack import clickhouse_engine
from gcc_platform.local_stack.clickhouse_configuration import USERS, server_xml, users_xml
from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.ports import LOOPBACK, answers
from gcc_platform.local_stack.private_files import write_private
from gcc_platform.local_stack.process import Command
from gcc_platform.local_stack.server import Server
from gcc_platform.settings import Settings


class ClickHouse(Server):
    """A server with HTTP and TCP, and one user per role."""

    name: ClassVar[str] = "ClickHouse"
    variable: ClassVar[str] = "CLICKHOUSE_URL"
    users: ClassVar[tuple[str, ...]] = USERS
    port_names: ClassVar[tuple[str, ...]] = ("clickhouse_http", "clickhouse_tcp")

    def logs(self) -> tuple[Path, ...]:
        """The log of warnings and errors."""
        return (self.directory / "errors.log",)

    def prepare(self) -> None:
        """Write config.xml and users.xml. They allow the sync to write to GCC_SYNC_STAGE, if that is set."""
        self._data.mkdir(mode=0o700, exist_ok=True)
        stage = Settings().urls.sync_stage
        write_private(self.directory / "config.xml", server_xml(self.directory, self._data, self.ports, stage))
        users = users_xml(self.passwords, internal=_installed() is None, stage=stage)
        write_private(self.directory / "users.xml", users)

    def command(self) -> Command:
        """The stock server if it is installed, because production runs it; else the engine in chdb."""
        installed = _installed()
        engine = [sys.executable, "-P", clickhouse_engine.__file__, str(self.directory), str(self._data)]
        stock = [str(installed), "server", f"--config-file={self.directory / 'config.xml'}"]
        return Command(
            stock if installed else engine,
            {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory), "TZ": "UTC", "LANG": "C.UTF-8"},
        )

    def healthy(self) -> bool:
        """Whether a query by HTTP succeeds and the TCP port listens."""
        if not answers(self.ports.clickhouse_tcp):
            return False
        query = urllib.request.Request(
            f"http://{LOOPBACK}:{self.ports.clickhouse_http}/?query=SELECT+1",
            headers={"X-ClickHouse-User": "sync", "X-ClickHouse-Key": self.passwords["sync"]},
        )
        try:
            with _DIRECT.open(query, timeout=5) as answer:
                return bool(answer.read() == b"1\n")
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                return False
            raise StackError(f"it refuses SELECT 1: {error.read(500).decode(errors='replace')}") from error
        except (OSError, http.client.HTTPException):
            return False

    def environment(self) -> dict[str, str]:
        """One URL per role."""
        port = self.ports.clickhouse_http
        return {
            "CLICKHOUSE_URL": self.url("http", "ingest", port),
            "GCC_DBT_CLICKHOUSE_URL": self.url("http", "dbt", port),
            "GCC_SYNC_CLICKHOUSE_URL": self.url("http", "sync", port),
            "GCC_READER_CLICKHOUSE_URL": self.url("http", "analyst", port),
            "GCC_MIGRATION_CLICKHOUSE_URL": self.url("http", "migration", port),
        }

    @property
    def _data(self) -> Path:
        return self.directory / "data"


# Otherwise urllib sends requests to 127.0.0.1 through the environment's proxy.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _installed() -> str | None:
    return shutil.which("clickhouse")
