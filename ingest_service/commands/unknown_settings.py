"""Warn about unknown settings at the start of a command, and suggest the closest known name."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from pydantic_settings import DotEnvSettingsSource

from ingest_service.observability import safe_text
from ingest_service.settings import Settings

PREFIX = "GCC_"
URLS = ("AMQP_URL", "CLICKHOUSE_URL", "POSTGRES_URL")
"""The settings without our prefix. A name counts as a misspelling of one only if it is very similar."""

READ_ELSEWHERE = frozenset(
    {
        # gcc_platform
        "POSTGRES_URL",
        "GCC_PROJECT_DIR",
        "GCC_DBT_CLICKHOUSE_URL",
        "GCC_SYNC_CLICKHOUSE_URL",
        "GCC_SYNC_STAGE",
        "GCC_DBT_POSTGRES_URL",
        "ALERTMANAGER_URL",
        "GCC_DAGSTER_PORT",
        "GCC_DAGSTER_URL",
        "GCC_RETENTION_DAYS",
        "GCC_RETENTION_FAILED_DAYS",
        "GCC_RETENTION_RUNS",
        "GCC_RETENTION_EVENTS_DAYS",
        "GCC_SYNC_MAX_FALL",
        "GCC_LEGACY_URL",
        "GCC_LEGACY_ZONE",
        "GCC_LEGACY_NUMBER",
        "GCC_MIGRATION_CLICKHOUSE_URL",
        "GCC_MIGRATION_POSTGRES_URL",
        "GCC_MIGRATION_CHUNK_ROWS",
        "GCC_MIGRATION_SLICE_ROWS",
        "GCC_MIGRATION_GRACE_SECONDS",
        "GCC_MIGRATION_MART_DAYS",
        "GCC_MIGRATION_DAYS",
        "GCC_LEGACY_TABLES",
        "GCC_MIGRATION_INSERT_SECONDS",
        "GCC_INGEST_HTTP_URL",
        "GCC_ARCHIVE_HTTP_URL",
        "GCC_WATCH_HOST",
        "GCC_WATCH_PORT",
        "GCC_WATCH_SECONDS",
        "GCC_WATCH_URL",
        "RABBITMQ_MANAGEMENT_URL",
        "GCC_ALERT_SLACK_URL",
        "GCC_ALERT_WEBHOOK_URL",
        "GCC_ALERT_EMAIL_TO",
        "GCC_ALERT_EMAIL_FROM",
        "GCC_ALERT_SMTP_URL",
        "GCC_ALERT_DEADMAN_URL",
        "GCC_LOCAL_ALERTMANAGER_PORT",
        "GCC_LOCAL_DIR",
        "GCC_LOCAL_AMQP_PORT",
        "GCC_LOCAL_MANAGEMENT_PORT",
        "GCC_LOCAL_CLICKHOUSE_HTTP_PORT",
        "GCC_LOCAL_CLICKHOUSE_TCP_PORT",
        "GCC_LOCAL_POSTGRES_PORT",
        "GCC_LOCAL_FREE_PORTS",
        # exported by the local stack
        "GCC_READER_CLICKHOUSE_URL",
        "GCC_READER_POSTGRES_URL",
        # the crawlers' SDK
        "GCC_SPOOL_DIR",
        "GCC_LEGACY_WRITES",
        # tests
        "GCC_CHAOS_SECONDS",
        "GCC_CHAOS_SEED",
        "GCC_FUZZ_BODIES",
        "GCC_FUZZ_SEED",
        "GCC_ONCALL",
        "GCC_OUTAGE_SECONDS",
        # the GNU compiler and its container images
        "GCC_COLORS",
        "GCC_COMPARE_DEBUG",
        "GCC_EXEC_PREFIX",
        "GCC_EXTRA_DIAGNOSTIC_OUTPUT",
        "GCC_MIRRORS",
        "GCC_VERSION",
    }
)
"""Settings that are not in Settings and are read by others."""

KNOWN = frozenset(str(field.alias) for field in Settings.model_fields.values()) | READ_ELSEWHERE

_SIMILARITY = 0.85  # AMPQ_URL and POSTGRESQL_URL are above it; RABBITMQ_URL and POSTGRES_DB below
_KUBERNETES = re.compile(r"GCC_\w+_(SERVICE_(HOST|PORT)\w*|PORT_\d+_(TCP|UDP)\w*)")
"""Variables that Kubernetes sets for a service named gcc-...; GCC_..._PORT is recognised by its value, a URL."""


def warn() -> None:
    """Log unknown settings of the environment and .env on stderr, in one line, without their values."""
    wrong = [f"unknown setting {safe_text.line(name)}{_suggestion(name)}" for name in _unknown(_configured())]
    if wrong:
        click.echo(f"{click.style('warning:', fg='yellow')} {'; '.join(wrong)}. .env.example lists them all", err=True)


def _configured() -> dict[str, str]:
    """Non-empty settings by upper-case name: pydantic ignores case as well."""
    file = DotEnvSettingsSource(Settings, env_file=Path(".env")).env_vars
    found = {**file, **os.environ}
    return {name.upper(): value for name, value in found.items() if value}


def _unknown(values: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(values.items()):
        if name in KNOWN or _KUBERNETES.fullmatch(name) or value.startswith(("tcp://", "udp://")):
            continue
        similar = difflib.get_close_matches(name, URLS, 1, _SIMILARITY)
        if name.startswith(PREFIX) or (similar and similar[0] not in values):
            yield name


def _suggestion(name: str) -> str:
    similar = difflib.get_close_matches(name, KNOWN, 1)
    return f" (did you mean {similar[0]}?)" if similar else ""
