"""What the private ClickHouse is told: its ports, its limits, its users and what each of them may do."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from gcc_platform.local_stack.ports import LOOPBACK, Ports

_RAW = "_e.*"
_READ_SYSTEM = "SELECT ON system.*"

# By name, for TABLE ENGINE ON * would include File, URL and S3: every file of ours and all of the network.
_MERGE_TREES = ("", "Replacing", "Summing", "Aggregating", "Collapsing", "VersionedCollapsing")
_ENGINES = ", ".join(
    f"TABLE ENGINE ON {engine}"
    for engine in (
        *(f"{kind}MergeTree" for kind in _MERGE_TREES),
        *(f"Replicated{kind}MergeTree" for kind in _MERGE_TREES),
        "Distributed",
        "Memory",
        "Null",
    )
)

# No CREATE DICTIONARY: one whose source is a command runs that command.
_WRITE = "CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER, DROP, INSERT, SELECT, TRUNCATE, OPTIMIZE"

GRANTS: dict[str, tuple[str, ...]] = {
    "ingest": (f"{_WRITE} ON {_RAW}", _READ_SYSTEM, _ENGINES),
    "dbt": (
        f"{_WRITE} ON warehouse.*",
        f"SELECT ON {_RAW}",
        _READ_SYSTEM,
        _ENGINES,
        "CREATE TEMPORARY TABLE ON *.*",
    ),
    "sync": (f"SELECT ON {_RAW}", "SELECT ON warehouse.*", _READ_SYSTEM),
    "analyst": (f"SELECT ON {_RAW}", "SELECT ON warehouse.*", _READ_SYSTEM),
}
"""What each user may do, and nothing else. On a server of your own: one GRANT per line."""

# The engine's own session is `default`, which must not have a password: it may only open the listeners and wait. The
# profile `internal` allows it that one session, so nobody else can be `default`, although everybody may log in as it.
# That matters: with READ ON FILE any program, even a page in a browser, could read every file of ours.
_INTERNAL_GRANTS = ("SYSTEM LISTEN ON *.*", "CREATE TEMPORARY TABLE ON *.*", "READ ON FILE")


def server_xml(directory: Path, data: Path, ports: Ports) -> str:
    """config.xml of a server that logs into the directory and keeps its data apart."""
    data_text = escape(str(data))
    return f"""<clickhouse>
    <listen_host>{LOOPBACK}</listen_host>
    <http_port>{ports.clickhouse_http}</http_port>
    <tcp_port>{ports.clickhouse_tcp}</tcp_port>
    <path>{data_text}/</path>
    <tmp_path>{data_text}/tmp/</tmp_path>
    <user_files_path>{data_text}/user_files/</user_files_path>
    <format_schema_path>{data_text}/format_schemas/</format_schema_path>
    <users_config>users.xml</users_config>
    <timezone>UTC</timezone>
    <max_server_memory_usage>{_half_of_memory()}</max_server_memory_usage>
    <mark_cache_size>{256 << 20}</mark_cache_size>
    <!-- A server's own default; the embedded engine's is 2. A delete is a task for each part: with 2, one that touched
         none of 56 parts took 6 to 9 seconds; with 16, less than one. -->
    <background_pool_size>16</background_pool_size>
    <log-level>information</log-level>
    <logger>
        <level>information</level>
        <log>{escape(str(directory / "clickhouse.log"))}</log>
        <errorlog>{escape(str(directory / "errors.log"))}</errorlog>
        <size>50M</size>
        <count>2</count>
    </logger>
    {_log_table("query_log")}
    {_log_table("part_log")}
</clickhouse>
"""  # noqa: S108  its own tmp


def users_xml(passwords: Mapping[str, str], *, internal: bool) -> str:
    """users.xml with the users of GRANTS; internal adds the one that chdb's engine itself is."""
    users = "".join(_user(name, passwords[name]) for name in GRANTS)
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
            <max_sessions_for_user>1</max_sessions_for_user>
            <constraints><max_sessions_for_user><const/></max_sessions_for_user></constraints>
        </internal>
    </profiles>
    <users>{users}{_internal_user() if internal else ""}
    </users>
</clickhouse>
"""


def _user(name: str, password: str) -> str:
    return f"""
        <{name}>
            <password_sha256_hex>{hashlib.sha256(password.encode()).hexdigest()}</password_sha256_hex>
            <networks><ip>{LOOPBACK}</ip></networks>
            <profile>{"reader" if name == "analyst" else "default"}</profile>
            {_grants(GRANTS[name])}
        </{name}>"""


def _internal_user() -> str:
    return f"""
        <default>
            <password></password>
            <networks><ip>{LOOPBACK}</ip></networks>
            <profile>internal</profile>
            {_grants(_INTERNAL_GRANTS)}
        </default>"""


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
