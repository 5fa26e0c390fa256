"""The ingest service's settings, all read from the environment."""

import os
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, Json, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest_service import urls
from ingest_service.errors import MissingSetting
from ingest_service.events.validation import Bounds
from ingest_service.urls import MissingUrl

TtlDays = Annotated[int, Field(ge=0, le=10_000)]
"""A TTL is computed in seconds that end in 2106: beyond it, a date that is far away would be one in the past."""


def local_environment() -> tuple[Path, ...]:
    """Files of NAME=value lines for settings that the environment lacks: ``.env``, then the local stack's."""
    return (_local_dir() / "env", Path(".env"))


def _local_dir() -> Path:
    return Path(os.environ.get("GCC_LOCAL_DIR", ".local"))


class Settings(BaseSettings):
    """The service's settings. URLs hold passwords, hence SecretStr: they show as ``**********`` in logs."""

    model_config = SettingsConfigDict(
        env_file=local_environment(), env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    amqp_url: SecretStr | None = Field(None, alias="AMQP_URL")
    clickhouse_url: SecretStr | None = Field(None, alias="CLICKHOUSE_URL")
    clickhouse_cluster: str | None = Field(None, alias="GCC_CLICKHOUSE_CLUSTER")
    """Create the raw tables ON CLUSTER of this name, replicated."""
    raw_ttl_days: TtlDays | None = Field(None, alias="GCC_RAW_TTL_DAYS")
    """Raw rows that were inserted longer ago are deleted, in whole parts. Unset or 0: they are kept for ever."""
    raw_ttl_days_by_type: Json[dict[str, TtlDays]] = Field({}, alias="GCC_RAW_TTL_DAYS_BY_TYPE", validate_default=False)
    """The same for single event types, which takes precedence: a JSON object."""

    http_host: str = Field("127.0.0.1", alias="GCC_HTTP_HOST")
    http_port: int = Field(8081, alias="GCC_HTTP_PORT")

    flush_rows: PositiveInt = Field(10_000, alias="GCC_FLUSH_ROWS")
    flush_bytes: PositiveInt = Field(16 * 2**20, alias="GCC_FLUSH_BYTES")
    flush_seconds: PositiveFloat = Field(5.0, alias="GCC_FLUSH_SECONDS")
    """A batch is flushed when it is full, or its oldest message has waited this long."""
    linger_seconds: PositiveFloat = Field(0.25, alias="GCC_LINGER_SECONDS")
    """A batch of at least 1,000 rows waits only this long for more, so batches grow with the load."""
    inserts_in_flight: PositiveInt = Field(2, alias="GCC_INSERTS_IN_FLIGHT")
    """Concurrent inserts per event type."""
    delivery: Literal["fast", "aio-pika"] = Field("fast", alias="GCC_DELIVERY")
    """How messages are received: directly from the stream, or through aio-pika, which is ten times slower."""
    prefetch: PositiveInt = Field(20_000, alias="GCC_PREFETCH", le=65_535)
    """Unacknowledged messages per event type at most; fewer if they are large."""
    max_held_bytes: PositiveInt = Field(256 * 2**20, alias="GCC_MAX_HELD_BYTES")
    """Bytes of bodies held in memory by all event types together; beyond it reading pauses until some are stored."""

    retry_first_seconds: PositiveFloat = Field(0.2, alias="GCC_RETRY_FIRST_SECONDS")
    retry_most_seconds: PositiveFloat = Field(30.0, alias="GCC_RETRY_MOST_SECONDS")
    insert_timeout_seconds: PositiveFloat = Field(120.0, alias="GCC_INSERT_TIMEOUT_SECONDS")
    stop_seconds: PositiveFloat = Field(20.0, alias="GCC_STOP_SECONDS")
    """How long a flush after SIGTERM may take; the rest is given back to the broker."""

    max_body_bytes: PositiveInt = Field(4 * 2**20, alias="GCC_MAX_BODY_BYTES")
    earliest_event: date = Field(date(2005, 1, 1), alias="GCC_EARLIEST_EVENT")
    event_ahead_seconds: PositiveFloat = Field(900.0, alias="GCC_EVENT_AHEAD_SECONDS")
    """How far an event_timestamp may be in the future."""
    dead_letter_share: float = Field(0.5, alias="GCC_DEAD_LETTER_SHARE", ge=0, le=1)
    """A type halts when more than this share of its recent messages cannot be stored."""
    hold_seconds: PositiveFloat = Field(1_500.0, alias="GCC_HOLD_SECONDS")
    """How long messages are held for a failing server before they are given back: less than consumer_timeout."""
    archive_url: SecretStr | None = Field(None, alias="GCC_ARCHIVE_URL")
    """Where dead letters are archived: a folder, or a URL that fsspec knows (s3://bucket/prefix).

    Without a default, except beside a local stack: a folder chosen for a container may not outlive it."""
    archive_http_port: int = Field(8083, alias="GCC_ARCHIVE_HTTP_PORT")
    """Of gcc-ingest archive; it listens on GCC_HTTP_HOST, as the service does."""
    archive_seconds: PositiveFloat = Field(30.0, alias="GCC_ARCHIVE_SECONDS")
    """An archive file is written when it is full, or its oldest letter has waited this long."""

    sentry_dsn: SecretStr | None = Field(None, alias="GCC_SENTRY_DSN")

    log_format: str = Field("auto", alias="GCC_LOG_FORMAT", pattern="^(auto|console|json)$")

    def bounds(self) -> Bounds:
        """The limits that events are validated by."""
        return Bounds(
            body_bytes=self.max_body_bytes,
            earliest=datetime.combine(self.earliest_event, time.min, UTC),
            ahead=timedelta(seconds=self.event_ahead_seconds),
        )

    def amqp(self) -> str:
        """The broker's URL. Raises MissingUrl or BadUrl."""
        return _required(self.amqp_url, "AMQP_URL", urls.AMQP)

    def clickhouse(self) -> str:
        """ClickHouse's URL. Raises MissingUrl or BadUrl."""
        return _required(self.clickhouse_url, "CLICKHOUSE_URL", urls.CLICKHOUSE)

    def archive(self) -> str:
        """Where dead letters are archived. Raises MissingSetting."""
        if self.archive_url is not None:
            return self.archive_url.get_secret_value()
        if (_local_dir() / "env").is_file():
            return str(_local_dir().absolute() / "dead-letters")
        raise MissingSetting(
            "GCC_ARCHIVE_URL is not set, and there is no local stack to archive beside. Set it to a folder that is"
            " kept, or to a URL such as s3://bucket/prefix"
        )


def _required(secret: SecretStr | None, name: str, schemes: tuple[str, ...]) -> str:
    if secret is None:
        raise MissingUrl(name)
    url = secret.get_secret_value()
    urls.parse(url, name, schemes)
    return url
