"""The servers as Dagster's resources: their URLs are read when a run needs them, not when the code loads."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg

from gcc_platform.resources import clickhouse, postgres
from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.settings import Settings


class ClickHouseResource(dg.ConfigurableResource[ClickHouse]):
    """ClickHouse for the sync, the sensor and the checks."""

    @contextmanager
    def connect(self, **comment: str) -> Iterator[ClickHouse]:
        """Connect to GCC_SYNC_CLICKHOUSE_URL. Raises MissingUrl, BadUrl and ClickHouseFailed."""
        with clickhouse.connect(Settings().urls.sync_clickhouse, comment) as connection:
            yield connection


class PostgresResource(dg.ConfigurableResource[psycopg.Connection]):
    """PostgreSQL for the sync and the checks."""

    @contextmanager
    def connect(self, application_name: str) -> Iterator[psycopg.Connection]:
        """Connect to POSTGRES_URL under a name. Raises MissingUrl, BadUrl and PostgresUnavailable."""
        with postgres.connect(Settings().urls.sync_postgres, application_name) as connection:
            yield connection


class BrokerResource(dg.ConfigurableResource[str]):
    """RabbitMQ for the checks of queues."""

    @property
    def url(self) -> str | None:
        """AMQP_URL; None if it is not set: then queues are not checked."""
        secret = Settings().amqp_url
        return secret.get_secret_value() if secret else None
