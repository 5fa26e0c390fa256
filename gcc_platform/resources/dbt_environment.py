"""The environment variables that dbt's profiles read, made from the platform's settings."""

import random
import socket

from gcc_platform.settings import Settings
from ingest_service import urls
from ingest_service.urls import BadUrl, ServerUrl

_PROBE_SECONDS = 2

_SSLMODE = "prefer"  # libpq's default
_PGOPTIONS = "-c lock_timeout=20s -c statement_timeout=300s"
"""dbt-postgres has no such settings; libpq reads them from the environment. A view's DDL waits for its readers."""


def dbt_environment(settings: Settings) -> dict[str, str]:
    """The DBT_* variables of dbt_project/warehouse/profiles.yml and dbt_project/serving/profiles.yml.

    Raises MissingUrl or BadUrl.
    """
    own = {
        "DBT_CLICKHOUSE_CLUSTER": settings.clickhouse_cluster or "",
        "DBT_LEGACY_TABLES": settings.legacy_tables.replace(" ", ""),
    }
    return warehouse(settings.urls.dbt_clickhouse) | own | _serving(settings.urls.dbt_postgres)


def warehouse(url: str) -> dict[str, str]:
    """The variables of a connection to ClickHouse: of several hosts one, which a whole run reads and writes.

    Raises BadUrl.
    """
    server = _answering(_servers(url, "GCC_DBT_CLICKHOUSE_URL", urls.CLICKHOUSE))
    return {
        "DBT_CLICKHOUSE_HOST": server.host,
        "DBT_CLICKHOUSE_PORT": str(server.port),
        "DBT_CLICKHOUSE_USER": server.user or "default",
        "DBT_CLICKHOUSE_PASSWORD": server.password,
        "DBT_CLICKHOUSE_SECURE": "1" if server.is_tls else "0",
    }


def _serving(url: str) -> dict[str, str]:
    servers = _servers(url, "GCC_DBT_POSTGRES_URL", urls.POSTGRES)
    if len({server.port for server in servers}) > 1:
        raise BadUrl("GCC_DBT_POSTGRES_URL lists hosts with different ports, and dbt has one port for all of them")
    server = servers[0]
    user = server.user or "postgres"
    return {
        "DBT_POSTGRES_HOST": ",".join(server.host for server in servers),
        "DBT_POSTGRES_PORT": str(server.port),
        "DBT_POSTGRES_USER": user,
        "DBT_POSTGRES_PASSWORD": server.password,
        "DBT_POSTGRES_DBNAME": server.path or user,  # libpq's rule
        "DBT_POSTGRES_SSLMODE": server.query.get("sslmode", _SSLMODE),
        "PGOPTIONS": _PGOPTIONS,
        # libpq tries the hosts in turn; the views are created on the one that writes.
        **({"PGTARGETSESSIONATTRS": "read-write"} if len(servers) > 1 else {}),
    }


def _servers(url: str, name: str, schemes: tuple[str, ...]) -> list[ServerUrl]:
    urls.parse(url, name, schemes)
    return [urls.parse(host, name, schemes) for host in urls.each_host(url)]


def _answering(servers: list[ServerUrl]) -> ServerUrl:
    """One that accepts connections, at random; if none does, dbt is to say so."""
    for server in random.sample(servers, len(servers)) if len(servers) > 1 else ():
        try:
            socket.create_connection((server.host, server.port), _PROBE_SECONDS).close()
        except OSError:
            continue
        return server
    return servers[0]
