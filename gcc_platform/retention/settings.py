"""How long Dagster's history is kept."""

from datetime import timedelta

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class RetentionSettings(BaseSettings):
    """Read from the environment and .env."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True)

    runs_days: PositiveInt = Field(5, alias="GCC_RETENTION_DAYS")
    """Runs that succeeded. A refresh takes 3 MB of SQLite, so a day of them 300 MB."""
    failed_runs_days: PositiveInt = Field(30, alias="GCC_RETENTION_FAILED_DAYS")
    """Runs that failed or were cancelled: somebody may ask what happened."""
    most_runs: PositiveInt = Field(500, alias="GCC_RETENTION_RUNS")
    """Runs of any kind: without it, refreshes that fail for weeks would fill the disk."""
    events_days: PositiveInt = Field(3, alias="GCC_RETENTION_EVENTS_DAYS")
    """Observations and results of checks that belong to no run: the sensors report thousands a day."""

    @property
    def runs(self) -> timedelta:
        """Of runs that succeeded."""
        return timedelta(days=self.runs_days)

    @property
    def failed_runs(self) -> timedelta:
        """Of other runs that have ended."""
        return timedelta(days=self.failed_runs_days)

    @property
    def events(self) -> timedelta:
        """Of events without a run."""
        return timedelta(days=self.events_days)
