"""The settings of the local stack: its directory and ports."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class LocalStackSettings(BaseSettings):
    """Read from the environment and .env."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True)

    directory: Path = Field(Path(".local"), alias="GCC_LOCAL_DIR")
    amqp_port: int = Field(5673, alias="GCC_LOCAL_AMQP_PORT")
    management_port: int = Field(15673, alias="GCC_LOCAL_MANAGEMENT_PORT")
    clickhouse_http_port: int = Field(8124, alias="GCC_LOCAL_CLICKHOUSE_HTTP_PORT")
    clickhouse_tcp_port: int = Field(9124, alias="GCC_LOCAL_CLICKHOUSE_TCP_PORT")
    postgres_port: int = Field(5433, alias="GCC_LOCAL_POSTGRES_PORT")
    alertmanager_port: int = Field(9094, alias="GCC_LOCAL_ALERTMANAGER_PORT")
    free_ports: str = Field("12000-31999", alias="GCC_LOCAL_FREE_PORTS")
    """The range in which free ports are searched: below the kernel's ephemeral range (32768 and up), from which
    outgoing connections take random ports."""


class AlertSettings(BaseSettings):
    """Whom the local Alertmanager notifies: everybody who is set. The URLs may hold tokens and passwords."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True)

    slack_url: SecretStr | None = Field(None, alias="GCC_ALERT_SLACK_URL")
    """An incoming webhook of Slack."""
    webhook_url: SecretStr | None = Field(None, alias="GCC_ALERT_WEBHOOK_URL")
    """Receives Alertmanager's JSON."""
    email_to: str | None = Field(None, alias="GCC_ALERT_EMAIL_TO")
    email_from: str = Field("gcc-alerts@localhost", alias="GCC_ALERT_EMAIL_FROM")
    smtp_url: SecretStr = Field(SecretStr("smtp://127.0.0.1:25"), alias="GCC_ALERT_SMTP_URL")
    """The mail server: smtp://user:password@host:587. STARTTLS is required except on this machine."""
    deadman_url: SecretStr | None = Field(None, alias="GCC_ALERT_DEADMAN_URL")
    """Is called every minute while alerting works: a service outside alarms when it is not."""
