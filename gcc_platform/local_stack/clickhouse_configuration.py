"""The configuration files of the private ClickHouse: its ports, limits, users and their privileges."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from gcc_platform import grants
from gcc_platform.grants import Grant
from gcc_platform.local_stack import clickhouse_stage
from gcc_platform.local_stack.memory import available
from gcc_platform.local_stack.ports import LOOPBACK, Ports
from gcc_platform.stage_location import StageLocation

USERS = ("ingest", "dbt", "sync", "analyst", "migration")
"""The users of deploy/grants/clickhouse.sql."""

# The engine's own session is `default`, which cannot have a password: it may only open the listeners and wait. The
# profile `internal` limits that user to this one session, so that another login as `default` fails. With READ ON FILE,
# any program, even a page in a browser, could otherwise read all of our files.
_INTERNAL_GRANTS = ("SYSTEM LISTEN ON *.*", "CREATE TEMPORARY TABLE ON *.*", "READ ON FILE")


def server_xml(directory: Path, data: Path, ports: Ports, stage: StageLocation | None = None) -> str:
    """config.xml of a server that logs into the directory and keeps its data apart. It may write to the stage.

    Raises StackError if the stage is a bucket whose keys are not in its URL.
    """
    data_text = escape(str(data))
    return f"""<clickhouse>
    <listen_host>{LOOPBACK}</listen_host>
    <http_port>{ports.clickhouse_http}</http_port>
    <tcp_port>{ports.clickhouse_tcp}</tcp_port>
    <path>{data_text}/</path>
    <tmp_path>{data_text}/tmp/</tmp_path>
    <user_files_path>{escape(str(clickhouse_stage.user_files(stage, data)))}/</user_files_path>
    <format_schema_path>{data_text}/format_schemas/</format_schema_path>
    <users_config>users.xml</users_config>
    <timezone>UTC</timezone>
    <max_server_memory_usage>{available() // 2}</max_server_memory_usage>
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
    {clickhouse_stage.named_collection(stage)}
</clickhouse>
"""  # noqa: S108  its own tmp


def users_xml(passwords: Mapping[str, str], *, internal: bool, stage: StageLocation | None = None) -> str:
    """users.xml with USERS and their grants; `internal` adds the user that chdb's engine itself runs as."""
    granted = {**grants.clickhouse()}
    granted["sync"] = [*granted["sync"], *clickhouse_stage.grants_of_sync(stage)]
    users = "".join(_user(name, passwords[name], granted[name]) for name in USERS)
    return f"""<clickhouse>
    <profiles>
        <default>
            <async_insert>0</async_insert>
            <log_queries>1</log_queries>
        </default>
        <reader>
            <profile>default</profile>
            <!-- read only, but for a query's settings: clients set their formats and limits -->
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


def _user(name: str, password: str, granted: Sequence[Grant]) -> str:
    return f"""
        <{name}>
            <password_sha256_hex>{hashlib.sha256(password.encode()).hexdigest()}</password_sha256_hex>
            <networks><ip>{LOOPBACK}</ip></networks>
            <profile>{"reader" if name == "analyst" else "default"}</profile>
            {_grants(f"{', '.join(grant.privileges)} ON {grant.target}" for grant in granted)}
        </{name}>"""


def _internal_user() -> str:
    return f"""
        <default>
            <password></password>
            <networks><ip>{LOOPBACK}</ip></networks>
            <profile>internal</profile>
            {_grants(_INTERNAL_GRANTS)}
        </default>"""


def _grants(granted: Iterable[str]) -> str:
    queries = "".join(f"<query>GRANT {escape(grant)}</query>" for grant in granted)
    return f"<grants>{queries}</grants>"


def _log_table(name: str) -> str:
    return (
        f"<{name}><database>system</database><table>{name}</table>"
        "<partition_by>toYYYYMM(event_date)</partition_by><ttl>event_date + INTERVAL 7 DAY DELETE</ttl>"
        f"<flush_interval_milliseconds>1000</flush_interval_milliseconds></{name}>"
    )
