"""What dbt's profiles read from their environment, made from the platform's URLs."""

from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from gcc_platform.settings import Settings

_CLICKHOUSE_PORTS = {"http": 8123, "https": 8443}
_POSTGRES_PORT = 5432
_SSLMODE = "prefer"  # libpq's own default


class BadUrl(ValueError):
    """A URL that dbt cannot use. The message does not repeat the URL: it may hold a password."""


def dbt_environment(settings: Settings) -> dict[str, str]:
    """The DBT_* variables of dbt_project/warehouse/profiles.yml and dbt_project/serving/profiles.yml.

    Raises MissingUrl or BadUrl.
    """
    cluster = {"DBT_CLICKHOUSE_CLUSTER": settings.clickhouse_cluster or ""}
    return _warehouse(settings.url("dbt_clickhouse")) | cluster | _serving(settings.url("dbt_postgres"))


def _warehouse(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.scheme not in _CLICKHOUSE_PORTS:
        raise BadUrl(f"dbt reaches ClickHouse by http:// or https://, not by {parts.scheme}://")
    return {
        "DBT_CLICKHOUSE_HOST": _host(parts, "ClickHouse"),
        "DBT_CLICKHOUSE_PORT": str(parts.port or _CLICKHOUSE_PORTS[parts.scheme]),
        "DBT_CLICKHOUSE_USER": unquote(parts.username or "default"),
        "DBT_CLICKHOUSE_PASSWORD": unquote(parts.password or ""),
        "DBT_CLICKHOUSE_SECURE": "1" if parts.scheme == "https" else "0",
    }


def _serving(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise BadUrl(f"dbt reaches PostgreSQL by postgresql://, not by {parts.scheme}://")
    user = unquote(parts.username or "postgres")
    return {
        "DBT_POSTGRES_HOST": _host(parts, "PostgreSQL"),
        "DBT_POSTGRES_PORT": str(parts.port or _POSTGRES_PORT),
        "DBT_POSTGRES_USER": user,
        "DBT_POSTGRES_PASSWORD": unquote(parts.password or ""),
        "DBT_POSTGRES_DBNAME": unquote(parts.path.removeprefix("/")) or user,  # libpq's rule
        "DBT_POSTGRES_SSLMODE": parse_qs(parts.query).get("sslmode", [_SSLMODE])[-1],
    }


def _host(parts: SplitResult, server: str) -> str:
    if parts.hostname is None:
        raise BadUrl(f"the URL of dbt's {server} names no host")
    return parts.hostname
