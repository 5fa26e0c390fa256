"""The environment variables that dbt's profiles read, made from the platform's settings."""

from gcc_platform.settings import Settings
from ingest_service import urls

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
    """The variables of a connection to ClickHouse. Raises BadUrl."""
    server = urls.parse(url, "GCC_DBT_CLICKHOUSE_URL", urls.CLICKHOUSE)
    return {
        "DBT_CLICKHOUSE_HOST": server.host,
        "DBT_CLICKHOUSE_PORT": str(server.port),
        "DBT_CLICKHOUSE_USER": server.user or "default",
        "DBT_CLICKHOUSE_PASSWORD": server.password,
        "DBT_CLICKHOUSE_SECURE": "1" if server.is_tls else "0",
    }


def _serving(url: str) -> dict[str, str]:
    server = urls.parse(url, "GCC_DBT_POSTGRES_URL", urls.POSTGRES)
    user = server.user or "postgres"
    return {
        "DBT_POSTGRES_HOST": server.host,
        "DBT_POSTGRES_PORT": str(server.port),
        "DBT_POSTGRES_USER": user,
        "DBT_POSTGRES_PASSWORD": server.password,
        "DBT_POSTGRES_DBNAME": server.path or user,  # libpq's rule
        "DBT_POSTGRES_SSLMODE": server.query.get("sslmode", _SSLMODE),
        "PGOPTIONS": _PGOPTIONS,
    }
