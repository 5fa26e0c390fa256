"""Everything the platform reads from its environment, in one place.

Each server has one URL per duty, so that every duty can have a user with no more rights than it needs. A duty whose
URL is not set uses the server's main URL.
"""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

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
    """The sync's and the observers': reads ``_e.*`` and ``warehouse.*``."""
    dbt_postgres_url: SecretStr | None = Field(None, alias="GCC_DBT_POSTGRES_URL")
    """dbt's: reads ``serving.*``, owns ``api``."""

    http_port: int = Field(8081, alias="GCC_HTTP_PORT", description="the ingest service's HTTP port")
    dagster_port: int = Field(3000, alias="GCC_DAGSTER_PORT")

    def url(self, duty: str) -> str:
        """The URL for a duty: amqp, clickhouse, postgres, dbt_clickhouse, sync_clickhouse or dbt_postgres.

        Raises MissingUrl where neither the duty's own variable nor its server's main one is set.
        """
        server = duty.rpartition("_")[2]
        secret: SecretStr | None = getattr(self, f"{duty}_url") or getattr(self, f"{server}_url")
        if secret is None:
            raise MissingUrl(f"{server.upper()}_URL")
        return secret.get_secret_value()
