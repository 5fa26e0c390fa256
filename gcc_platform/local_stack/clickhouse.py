"""A private ClickHouse server: a ``clickhouse`` on PATH if there is one, else the engine that chdb-core carries."""

import hashlib
import http.client
import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import ClassVar
from xml.sax.saxutils import escape

from gcc_platform.local_stack import clickhouse_engine
from gcc_platform.local_stack.errors import StackError
from gcc_platform.local_stack.ports import LOOPBACK, answers
from gcc_platform.local_stack.private_files import write_private
from gcc_platform.local_stack.process import Command
from gcc_platform.local_stack.server import Server

_RAW = "_e.*"
_READ_SYSTEM = "SELECT ON system.*"
_WRITE = (
    "CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY, ALTER, DROP, INSERT, SELECT, TRUNCATE, OPTIMIZE"
)

GRANTS: dict[str, tuple[str, ...]] = {
    "ingest": (f"{_WRITE} ON {_RAW}", _READ_SYSTEM),
    "dbt": (
        f"{_WRITE}, dictGet ON warehouse.*",
        f"SELECT ON {_RAW}",
        _READ_SYSTEM,
        "CREATE TEMPORARY TABLE ON *.*",
    ),
    "sync": (f"SELECT ON {_RAW}", "SELECT, dictGet ON warehouse.*", _READ_SYSTEM),
    "analyst": (f"SELECT ON {_RAW}", "SELECT, dictGet ON warehouse.*", _READ_SYSTEM),
}
"""What each user may do, and nothing else. On a server of your own: one GRANT per line."""

# The engine's own session is `default`, which must not have a password: it may only open the listeners and wait. It
# waits in a query as long as the server lives, and the profile `internal` allows it that one: nobody else can be
# `default`, although everybody on this machine could log in as it.
_INTERNAL_GRANTS = ("SYSTEM LISTEN ON *.*", "CREATE TEMPORARY TABLE ON *.*", "READ ON FILE")


class ClickHouse(Server):
    """One server with HTTP and TCP, and one user for each duty."""

    name: ClassVar[str] = "ClickHouse"
    variable: ClassVar[str] = "CLICKHOUSE_URL"
    users: ClassVar[tuple[str, ...]] = tuple(GRANTS)
    port_names: ClassVar[tuple[str, ...]] = ("clickhouse_http", "clickhouse_tcp")

    def logs(self) -> tuple[Path, ...]:
        """ClickHouse's log of warnings and errors."""
        return (self.directory / "errors.log",)

    def prepare(self) -> None:
        """Write config.xml and users.xml."""
        self._data.mkdir(exist_ok=True)
        write_private(self.directory / "config.xml", self._configuration())
        write_private(self.directory / "users.xml", self._users())

    def command(self) -> Command:
        """The stock server if it is installed, for it is what production runs; else the engine in chdb."""
        installed = shutil.which("clickhouse")
        engine = [sys.executable, "-P", clickhouse_engine.__file__, str(self.directory), str(self._data)]
        stock = [str(installed), "server", f"--config-file={self.directory / 'config.xml'}"]
        return Command(
            stock if installed else engine,
            {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory), "TZ": "UTC", "LANG": "C.UTF-8"},
        )

    def healthy(self) -> bool:
        """Whether a user gets an answer by HTTP and the TCP port listens."""
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
            raise StackError(f"it refuses SELECT 1: {error.read(500).decode(errors='replace')}") from error
        except (OSError, http.client.HTTPException):
            return False

    def environment(self) -> dict[str, str]:
        """One URL for each duty."""
        port = self.ports.clickhouse_http
        return {
            "CLICKHOUSE_URL": self.url("http", "ingest", port),
            "GCC_DBT_CLICKHOUSE_URL": self.url("http", "dbt", port),
            "GCC_SYNC_CLICKHOUSE_URL": self.url("http", "sync", port),
            "GCC_READER_CLICKHOUSE_URL": self.url("http", "analyst", port),
        }

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _configuration(self) -> str:
        inside = {
            name: escape(str(self.directory / path))
            for name, path in {
                "log": "clickhouse.log",
                "errors": "errors.log",
                "data": "data",
                "scratch": "data/tmp",
            }.items()
        }
        return f"""<clickhouse>
    <listen_host>{LOOPBACK}</listen_host>
    <http_port>{self.ports.clickhouse_http}</http_port>
    <tcp_port>{self.ports.clickhouse_tcp}</tcp_port>
    <path>{inside["data"]}/</path>
    <tmp_path>{inside["scratch"]}/</tmp_path>
    <user_files_path>{inside["data"]}/user_files/</user_files_path>
    <format_schema_path>{inside["data"]}/format_schemas/</format_schema_path>
    <users_config>users.xml</users_config>
    <timezone>UTC</timezone>
    <max_server_memory_usage>{_half_of_memory()}</max_server_memory_usage>
    <mark_cache_size>{256 << 20}</mark_cache_size>
    <log-level>information</log-level>
    <logger>
        <level>information</level>
        <log>{inside["log"]}</log>
        <errorlog>{inside["errors"]}</errorlog>
        <size>50M</size>
        <count>2</count>
    </logger>
    {_log_table("query_log")}
    {_log_table("part_log")}
</clickhouse>
"""

    def _users(self) -> str:
        users = "".join(
            f"""
        <{user}>
            <password_sha256_hex>{hashlib.sha256(self.passwords[user].encode()).hexdigest()}</password_sha256_hex>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>{"reader" if user == "analyst" else "default"}</profile>
            {_grants(grants)}
        </{user}>"""
            for user, grants in GRANTS.items()
        )
        return f"""<clickhouse>
    <profiles>
        <default>
            <async_insert>0</async_insert>
            <log_queries>1</log_queries>
        </default>
        <reader>
            <profile>default</profile>
            <!-- reads only, yet may change settings of the query: clients set their formats and limits -->
            <readonly>2</readonly>
        </reader>
        <internal>
            <max_concurrent_queries_for_user>1</max_concurrent_queries_for_user>
            <constraints>
                <max_concurrent_queries_for_user><const/></max_concurrent_queries_for_user>
                <replace_running_query><const/></replace_running_query>
            </constraints>
        </internal>
    </profiles>
    <users>
        <default>
            <password></password>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>internal</profile>
            {_grants(_INTERNAL_GRANTS)}
        </default>{users}
    </users>
</clickhouse>
"""


# urllib would send requests to 127.0.0.1 through a proxy that the environment names.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _grants(grants: tuple[str, ...]) -> str:
    queries = "".join(f"<query>GRANT {grant}</query>" for grant in grants)
    return f"<grants>{queries}</grants>"


def _log_table(name: str) -> str:
    return (
        f"<{name}><database>system</database><table>{name}</table>"
        "<partition_by>toYYYYMM(event_date)</partition_by><ttl>event_date + INTERVAL 7 DAY DELETE</ttl>"
        f"<flush_interval_milliseconds>1000</flush_interval_milliseconds></{name}>"
    )


def _half_of_memory() -> int:
    """Half of the machine's memory, or of what a container may use, in bytes."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            sizes.append(int(limit.read_text()))
        except (OSError, ValueError):  # no such control group, or "max"
            continue
    return min(sizes) // 2
