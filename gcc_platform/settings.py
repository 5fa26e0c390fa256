"""Everything the platform reads from its environment, in one place.

Each server has one URL per role, so that each role can have a user with no more privileges than it needs. A role whose
URL is not set uses the server's main URL.
"""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from gcc_platform import stage_location
from gcc_platform.stage_location import StageLocation
from ingest_service import urls
from ingest_service.settings import local_environment
from ingest_service.urls import MissingUrl


class Settings(BaseSettings):
    """The platform's settings. URLs hold passwords, hence SecretStr: they show as ``**********`` in logs."""

    model_config = SettingsConfigDict(
        env_file=local_environment(), env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    amqp_url: SecretStr | None = Field(None, alias="AMQP_URL")
    clickhouse_url: SecretStr | None = Field(None, alias="CLICKHOUSE_URL")
    """The ingest service's: writes ``_e.*``."""
    clickhouse_cluster: str | None = Field(None, alias="GCC_CLICKHOUSE_CLUSTER")
    """Create the warehouse's tables ON CLUSTER of this name, replicated, as gcc-ingest init does the raw tables."""
    postgres_url: SecretStr | None = Field(None, alias="POSTGRES_URL")
    """The sync's: owns ``serving`` and ``serving_data``."""

    dbt_clickhouse_url: SecretStr | None = Field(None, alias="GCC_DBT_CLICKHOUSE_URL")
    """dbt's: reads ``_e.*``, owns ``warehouse``."""
    sync_clickhouse_url: SecretStr | None = Field(None, alias="GCC_SYNC_CLICKHOUSE_URL")
    """The sync's, the sensor's and the checks': reads ``_e.*`` and ``warehouse.*``."""
    dbt_postgres_url: SecretStr | None = Field(None, alias="GCC_DBT_POSTGRES_URL")
    """dbt's: reads ``serving.*``, owns ``api``."""

    sync_stage: SecretStr | None = Field(None, alias="GCC_SYNC_STAGE")
    """Where the rows of marts wait on their way to PostgreSQL: s3://bucket/prefix, an S3-compatible store's
    https://key:secret@host/bucket/prefix, or a folder. Without it they are streamed."""

    legacy_tables: str = Field("", alias="GCC_LEGACY_TABLES")
    """Tables that the warehouse still reads from PostgreSQL's rows (profile_log,post_log): docs/migration.md."""

    sync_max_fall: float = Field(0.2, alias="GCC_SYNC_MAX_FALL", ge=0, le=1)
    """The share of a mart's rows that may vanish between two syncs; otherwise the rows before are served on."""

    alertmanager_url: SecretStr | None = Field(None, alias="ALERTMANAGER_URL")
    """The watch reports to it. Without it, alerts are logged and shown on the status page only."""

    http_port: int = Field(8081, alias="GCC_HTTP_PORT", description="the ingest service's HTTP port")
    dagster_port: int = Field(3000, alias="GCC_DAGSTER_PORT")

    @property
    def urls(self) -> "Urls":
        """The URL of each role."""
        return Urls(self)


class Urls:
    """The URL of each role, checked when it is read: every property raises MissingUrl and BadUrl."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def dbt_clickhouse(self) -> str:
        """ClickHouse for dbt."""
        own = ("GCC_DBT_CLICKHOUSE_URL", self._settings.dbt_clickhouse_url)
        return _first(urls.CLICKHOUSE, own, ("CLICKHOUSE_URL", self._settings.clickhouse_url))

    @property
    def sync_clickhouse(self) -> str:
        """ClickHouse for the sync, the sensor and the checks."""
        own = ("GCC_SYNC_CLICKHOUSE_URL", self._settings.sync_clickhouse_url)
        return _first(urls.CLICKHOUSE, own, ("CLICKHOUSE_URL", self._settings.clickhouse_url))

    @property
    def dbt_postgres(self) -> str:
        """PostgreSQL for dbt."""
        own = ("GCC_DBT_POSTGRES_URL", self._settings.dbt_postgres_url)
        return _first(urls.POSTGRES, own, ("POSTGRES_URL", self._settings.postgres_url))

    @property
    def sync_postgres(self) -> str:
        """PostgreSQL for the sync and the checks."""
        return _first(urls.POSTGRES, ("POSTGRES_URL", self._settings.postgres_url))

    @property
    def sync_stage(self) -> StageLocation | None:
        """The stage of the sync; None if it streams."""
        secret = self._settings.sync_stage
        return stage_location.parse(secret.get_secret_value()) if secret else None

    @property
    def alertmanager(self) -> str:
        """Alertmanager; empty if there is none."""
        secret = self._settings.alertmanager_url
        return _first(urls.HTTP, ("ALERTMANAGER_URL", secret)).rstrip("/") if secret else ""

    def check(self) -> None:
        """Raise MissingUrl or BadUrl for the first role whose URL is missing or malformed."""
        _ = (self.dbt_clickhouse, self.sync_clickhouse, self.dbt_postgres, self.sync_postgres, self.sync_stage)


def _first(schemes: tuple[str, ...], *candidates: tuple[str, SecretStr | None]) -> str:
    """The first URL that is set, of variables and their values. The last variable is the server's main one."""
    for name, secret in candidates:
        if secret is not None:
            url = secret.get_secret_value()
            urls.parse(url, name, schemes)
            return url
    raise MissingUrl(candidates[-1][0])
