"""The settings of a migration: the old database, and the users of its own on the platform's servers."""

from zoneinfo import available_timezones

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from gcc_platform.migration.legacy_table import Database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from ingest_service import urls
from ingest_service.errors import MissingSetting, UserError
from ingest_service.settings import local_environment
from ingest_service.urls import MissingUrl


class BadZone(UserError):
    """GCC_LEGACY_ZONE cannot be read."""


class BadTable(UserError):
    """GCC_LEGACY_TABLES names a table that is not one of the old tables."""


class NoLegacyDatabase(MissingSetting):
    """There is nothing to move over."""


class MigrationSettings(BaseSettings):
    """Read from the environment, .env and the local stack's file. URLs hold passwords, hence SecretStr."""

    model_config = SettingsConfigDict(
        env_file=local_environment(), env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    legacy_url: SecretStr | None = Field(None, alias="GCC_LEGACY_URL")
    """The old PostgreSQL; a replica of it is enough for the backfill and for parity."""
    legacy_zone: str = Field("UTC", alias="GCC_LEGACY_ZONE")
    """The time zone of its naive times: `Asia/Kolkata`, or by table `UTC,post_log=Asia/Kolkata`."""
    legacy_number: int = Field(0, alias="GCC_LEGACY_NUMBER", ge=0, le=4095)
    """Distinguishes several old databases whose tables have the same ids. For ever: it is in the event_ids."""
    clickhouse_url: SecretStr | None = Field(None, alias="GCC_MIGRATION_CLICKHOUSE_URL")
    main_clickhouse_url: SecretStr | None = Field(None, alias="CLICKHOUSE_URL")
    postgres_url: SecretStr | None = Field(None, alias="GCC_MIGRATION_POSTGRES_URL")
    main_postgres_url: SecretStr | None = Field(None, alias="POSTGRES_URL")
    """The platform's PostgreSQL, which holds the state of the migration in a schema of its own."""
    chunk_rows: PositiveInt = Field(100_000, alias="GCC_MIGRATION_CHUNK_ROWS")
    """Ids per chunk of the backfill. A worker holds one chunk in memory."""
    slice_rows: PositiveInt = Field(10_000_000, alias="GCC_MIGRATION_SLICE_ROWS")
    """Rows of the backfill between two refreshes, where Dagster runs it."""
    insert_seconds: float = Field(300.0, alias="GCC_MIGRATION_INSERT_SECONDS")

    grace_seconds: PositiveInt = Field(900, alias="GCC_MIGRATION_GRACE_SECONDS")
    """A crawler's event may be under way for this long before it counts as missing."""
    mart_days: int = Field(30, alias="GCC_MIGRATION_MART_DAYS", ge=0)
    """Marts are compared as built from the events of the last days; 0: of all."""
    days: float = Field(7.0, alias="GCC_MIGRATION_DAYS", ge=0)
    """How long a gate has to be green before a table enters its next phase."""
    legacy_tables: str = Field("", alias="GCC_LEGACY_TABLES")
    """The tables that the warehouse still reads from PostgreSQL's rows, separated by commas."""

    @property
    def still_read_from_postgres(self) -> tuple[str, ...]:
        """The tables of GCC_LEGACY_TABLES. Raises BadTable."""
        names = tuple(filter(None, (each.strip() for each in self.legacy_tables.split(","))))
        for name in names:
            if name not in LEGACY_TABLES:
                raise BadTable(
                    f"GCC_LEGACY_TABLES: unknown table {name!r}; the old tables are {', '.join(LEGACY_TABLES)}"
                )
        return names

    @property
    def is_on(self) -> bool:
        """Whether there is an old database."""
        return self.legacy_url is not None

    @property
    def legacy(self) -> str:
        """The URL of the old PostgreSQL. Raises NoLegacyDatabase and BadUrl."""
        if self.legacy_url is None:
            raise NoLegacyDatabase("GCC_LEGACY_URL is not set: it names the old PostgreSQL, postgresql://...")
        return _url(("GCC_LEGACY_URL", self.legacy_url), schemes=urls.POSTGRES)

    @property
    def clickhouse(self) -> str:
        """ClickHouse for the migration. Raises MissingUrl and BadUrl."""
        own = ("GCC_MIGRATION_CLICKHOUSE_URL", self.clickhouse_url)
        return _url(own, ("CLICKHOUSE_URL", self.main_clickhouse_url), schemes=urls.CLICKHOUSE)

    @property
    def state(self) -> str:
        """The platform's PostgreSQL. Raises MissingUrl and BadUrl."""
        own = ("GCC_MIGRATION_POSTGRES_URL", self.postgres_url)
        return _url(own, ("POSTGRES_URL", self.main_postgres_url), schemes=urls.POSTGRES)

    @property
    def database(self) -> Database:
        """What is particular to the old database. Raises BadZone."""
        return Database(_zones(self.legacy_zone), self.legacy_number)


def _url(*candidates: tuple[str, SecretStr | None], schemes: tuple[str, ...]) -> str:
    for name, secret in candidates:
        if secret is not None:
            urls.parse(secret.get_secret_value(), name, schemes)
            return secret.get_secret_value()
    raise MissingUrl(candidates[-1][0])


def _zones(text: str) -> dict[str, str]:
    """The zone by table, of `ZONE,TABLE=ZONE,...`; the one without a table is that of all others."""
    zones = {}
    default = "UTC"
    for part in filter(None, (each.strip() for each in text.split(","))):
        table, found, zone = part.partition("=")
        if not found:
            default = _known_zone(part)
        elif table in LEGACY_TABLES:
            zones[table] = _known_zone(zone)
        else:
            raise BadZone(f"GCC_LEGACY_ZONE: unknown table {table!r}; the old tables are {', '.join(LEGACY_TABLES)}")
    return dict.fromkeys(LEGACY_TABLES, default) | zones


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise BadZone(f"GCC_LEGACY_ZONE: unknown time zone {name!r}; known are UTC, Asia/Kolkata, ...")
    return name
