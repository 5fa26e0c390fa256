"""Settings that nobody reads: a misspelt one is said at the start of a command, with the name that was meant."""

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
"""The settings without our prefix. Another name is only taken for one of them where it is nearly the same."""

ELSEWHERE = frozenset(
    {
        # gcc_platform.settings
        "POSTGRES_URL",
        "GCC_DBT_CLICKHOUSE_URL",
        "GCC_SYNC_CLICKHOUSE_URL",
        "GCC_DBT_POSTGRES_URL",
        "GCC_DAGSTER_PORT",
        "GCC_LOCAL_DIR",
        "GCC_LOCAL_AMQP_PORT",
        "GCC_LOCAL_MANAGEMENT_PORT",
        "GCC_LOCAL_CLICKHOUSE_HTTP_PORT",
        "GCC_LOCAL_CLICKHOUSE_TCP_PORT",
        "GCC_LOCAL_POSTGRES_PORT",
        "GCC_LOCAL_FREE_PORTS",
        # what the local stack tells other programs
        "GCC_READER_CLICKHOUSE_URL",
        "GCC_READER_POSTGRES_URL",
        # the crawlers' SDK
        "GCC_SPOOL_DIR",
        # tests
        "GCC_CHAOS_SECONDS",
        "GCC_CHAOS_SEED",
        "GCC_FUZZ_BODIES",
        "GCC_FUZZ_SEED",
        # the GNU compiler, and the images that carry it
        "GCC_COLORS",
        "GCC_COMPARE_DEBUG",
        "GCC_EXEC_PREFIX",
        "GCC_EXTRA_DIAGNOSTIC_OUTPUT",
        "GCC_MIRRORS",
        "GCC_VERSION",
    }
)
"""Names that Settings does not have and somebody else reads."""

KNOWN = frozenset(str(field.alias) for field in Settings.model_fields.values()) | ELSEWHERE

_ALIKE = 0.85  # AMPQ_URL and POSTGRESQL_URL are; RABBITMQ_URL and POSTGRES_DB are not
_KUBERNETES = re.compile(r"GCC_\w+_(SERVICE_(HOST|PORT)\w*|PORT_\d+_(TCP|UDP)\w*)")
"""What every pod gets of a service named gcc-...; its address, GCC_..._PORT, is told by its value."""


def warn() -> None:
    """Say on stderr, in one line, what is set in the environment or .env and nobody reads; never its value."""
    told = [f"{safe_text.line(name)} is no setting{_meant(name)}" for name in _unread(_set())]
    if told:
        click.echo(f"{click.style('warning:', fg='yellow')} {'; '.join(told)}. .env.example lists them all", err=True)


def _set() -> dict[str, str]:
    """What has a value, by its name in capitals: pydantic does not look at their case either."""
    file = DotEnvSettingsSource(Settings, env_file=Path(".env")).env_vars
    found = {**file, **os.environ}
    return {name.upper(): value for name, value in found.items() if value}


def _unread(values: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(values.items()):
        if name in KNOWN or _KUBERNETES.fullmatch(name) or value.startswith(("tcp://", "udp://")):
            continue
        meant = difflib.get_close_matches(name, URLS, 1, _ALIKE)
        if name.startswith(PREFIX) or (meant and meant[0] not in values):
            yield name


def _meant(name: str) -> str:
    meant = difflib.get_close_matches(name, KNOWN, 1)
    return f" (did you mean {meant[0]}?)" if meant else ""
