"""The settings of the watch: what it looks at, and where others reach it."""

from pydantic import Field, PositiveFloat, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest_service import urls
from ingest_service.settings import local_environment

OFF = "off"
"""The value of a URL that is not looked at."""


class WatchSettings(BaseSettings):
    """Read from the environment, .env and the local stack's file."""

    model_config = SettingsConfigDict(
        env_file=local_environment(), env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    management_url: SecretStr | None = Field(None, alias="RABBITMQ_MANAGEMENT_URL")
    """For links, and for the doctor, which asks it about the queues."""
    reader_url: SecretStr | None = Field(None, alias="GCC_READER_CLICKHOUSE_URL")
    """For links only."""
    host: str = Field("127.0.0.1", alias="GCC_WATCH_HOST")
    port: int = Field(8082, alias="GCC_WATCH_PORT")
    seconds: PositiveFloat = Field(15.0, alias="GCC_WATCH_SECONDS")
    """Between two looks."""
    watch_url: str | None = Field(None, alias="GCC_WATCH_URL")
    """Where people and Dagster reach the watch."""
    dagster_url: str | None = Field(None, alias="GCC_DAGSTER_URL")
    ingest_url: str | None = Field(None, alias="GCC_INGEST_HTTP_URL")
    archive_url: str | None = Field(None, alias="GCC_ARCHIVE_HTTP_URL")
    dagster_port: int = Field(3000, alias="GCC_DAGSTER_PORT")
    ingest_port: int = Field(8081, alias="GCC_HTTP_PORT")
    archive_port: int = Field(8083, alias="GCC_ARCHIVE_HTTP_PORT")

    @property
    def own_url(self) -> str:
        """The watch's address for others."""
        return _address("GCC_WATCH_URL", self.watch_url, self.port)

    @property
    def dagster(self) -> str:
        """Dagster's webserver; empty if it is not looked at."""
        return _address("GCC_DAGSTER_URL", self.dagster_url, self.dagster_port)

    @property
    def ingest(self) -> str:
        """The ingest service's HTTP server; empty if it is not looked at."""
        return _address("GCC_INGEST_HTTP_URL", self.ingest_url, self.ingest_port)

    @property
    def archive(self) -> str:
        """The archive's HTTP server; empty if it is not looked at."""
        return _address("GCC_ARCHIVE_HTTP_URL", self.archive_url, self.archive_port)

    @property
    def management(self) -> str:
        """The address of RabbitMQ's management pages, without user and password; empty if unknown."""
        return _origin("RABBITMQ_MANAGEMENT_URL", self.management_url)

    @property
    def play(self) -> str:
        """ClickHouse's page for queries, without user and password; empty if unknown."""
        origin = _origin("GCC_READER_CLICKHOUSE_URL", self.reader_url)
        return f"{origin}/play" if origin else ""


def _origin(name: str, url: SecretStr | None) -> str:
    """Raises BadUrl."""
    return urls.parse(url.get_secret_value(), name, urls.HTTP).origin if url else ""


def _address(name: str, configured: str | None, port: int) -> str:
    """Raises BadUrl."""
    if configured == OFF:
        return ""
    return _checked(name, configured) if configured else f"http://127.0.0.1:{port}"


def _checked(name: str, url: str) -> str:
    urls.parse(url, name, urls.HTTP)
    return url.rstrip("/")
