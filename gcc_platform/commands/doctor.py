"""gcc-platform doctor: checks servers, versions, privileges, settings and the running platform, with advice."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

import click
import psycopg
from aio_pika.exceptions import ChannelNotFoundEntity

from gcc_platform.commands import (
    disk_space,
    insert_conditions,
    migration_conditions,
    postgres_conditions,
    privileges,
    queue_conditions,
    running_platform,
    server_versions,
    stage_conditions,
)
from gcc_platform.commands.finding import Finding
from gcc_platform.migration.settings import MigrationSettings
from gcc_platform.resources import clickhouse, postgres
from gcc_platform.resources.dbt_environment import dbt_environment
from gcc_platform.resources.dbt_project import DBT
from gcc_platform.settings import Settings
from gcc_platform.watch.settings import WatchSettings
from ingest_service.broker import topology
from ingest_service.broker.confirms import confirming
from ingest_service.broker.connection import connected, server_version
from ingest_service.broker.published import Message
from ingest_service.commands.errors import exit_on_error
from ingest_service.errors import UserError
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.observability import logs
from ingest_service.schema.inventory import LEDGER_VIEWS, TABLES
from ingest_service.settings import Settings as IngestSettings

_ALARM_SECONDS = 2
_SKEW_SECONDS = 5.0
_INIT = "run gcc-ingest init"


Check = Callable[[Settings], Iterator[Finding]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@exit_on_error()
def doctor(as_json: bool) -> None:
    """Check servers, versions, privileges and settings, and advise on each problem. Exits with 1 if a check failed.

    \b
    Examples:
      gcc-platform doctor
      gcc-platform doctor --json | jq '.[] | select(.ok | not)'
    """
    logs.configure(IngestSettings().log_format)  # to stderr: stdout may be JSON
    logs.silence_libraries()
    findings = []
    for finding in examine(Settings()):
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check. A server that cannot be reached is one finding."""
    checks: dict[str, Check] = {
        "RabbitMQ": _broker,
        "RabbitMQ, management": _management,
        "ClickHouse, ingest": _ingest,
        "ClickHouse, dbt": _dbt_clickhouse,
        "ClickHouse, sync": _sync_clickhouse,
        "PostgreSQL, sync": _sync_postgres,
        "PostgreSQL, dbt": _dbt_postgres,
        stage_conditions.SUBJECT: stage_conditions.examine,
        "dbt": _dbt,
        "the migration": _migration,
        "the running platform": running_platform.examine,
    }
    for subject, check in checks.items():
        try:
            yield from check(settings)
        except (UserError, psycopg.Error) as error:
            yield Finding(subject, False, str(error).strip(), "check the URL and that the server runs")


def _broker(_settings: Settings) -> Iterator[Finding]:
    names = list(topology.queues(EVENT_TYPES.values()))
    url = IngestSettings().amqp()
    version, missing = asyncio.run(_missing_queues(url, names))
    yield server_versions.check("RabbitMQ", "RabbitMQ", version)
    yield _all_exist("RabbitMQ", "queues", names, missing)
    blocked = asyncio.run(_blocked(url))
    yield Finding("RabbitMQ", not blocked, blocked or "accepts messages", "free memory or disk: see rabbitmqctl status")


async def _missing_queues(url: str, names: list[str]) -> tuple[str, list[str]]:
    """The broker's version, and those of the queues that it does not have."""
    missing = []
    async with connected(url, "gcc-platform doctor") as connection:
        for name in names:
            try:
                async with connection.channel() as channel:
                    await channel.get_queue(name, ensure=True)
            except ChannelNotFoundEntity:
                missing.append(name)
        return server_version(connection), missing


async def _blocked(url: str) -> str:
    """The broker's reason for blocking publishers; empty if it does not. Only a connection that publishes learns it.

    The message has no queue, so the broker returns it, or refuses it for lack of permission; either is an answer.
    """
    async with confirming(url, "gcc-platform doctor", exchange="") as channel:
        published = await channel.publish([Message("gcc-platform doctor", b"{}")], _ALARM_SECONDS)
        return published.trouble if channel.blocked else ""


def _management(_settings: Settings) -> Iterator[Finding]:
    return queue_conditions.examine(WatchSettings(), IngestSettings())


def _ingest(_settings: Settings) -> Iterator[Finding]:
    subject = "ClickHouse, ingest"
    with clickhouse.connect(IngestSettings().clickhouse(), {"command": "doctor"}) as server:
        [[version]] = server.rows("SELECT version()")
        yield server_versions.check(subject, "ClickHouse", version)
        yield from disk_space.of_clickhouse(server, subject)
        existing = {f"_e.{row[0]}" for row in server.rows("SELECT name FROM system.tables WHERE database = '_e'")}
        tables = [*TABLES, *LEDGER_VIEWS]
        yield _all_exist(subject, "tables and views", tables, [name for name in tables if name not in existing])
        [[now]] = server.rows("SELECT toFloat64(now64(3))")
        yield _clock(subject, float(now))
        yield from privileges.of_clickhouse(server, subject, "ingest")
        yield from insert_conditions.examine(server, subject, IngestSettings().clickhouse_cluster)


def _dbt_clickhouse(settings: Settings) -> Iterator[Finding]:
    with clickhouse.connect(settings.urls.dbt_clickhouse, {"command": "doctor"}) as server:
        yield from privileges.of_clickhouse(server, "ClickHouse, dbt", "dbt")


def _sync_clickhouse(settings: Settings) -> Iterator[Finding]:
    with clickhouse.connect(settings.urls.sync_clickhouse, {"command": "doctor"}) as server:
        yield from privileges.of_clickhouse(server, "ClickHouse, sync", "sync")


def _sync_postgres(settings: Settings) -> Iterator[Finding]:
    subject = "PostgreSQL, sync"
    with postgres.connect(settings.urls.sync_postgres, "gcc-platform doctor") as connection:
        version = connection.info.parameter_status("server_version") or ""
        yield server_versions.check(subject, "PostgreSQL", version)
        [(now,)] = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchall()
        yield _clock(subject, float(now))
        yield from privileges.of_postgres(connection, subject, "sync")
        yield from postgres_conditions.examine(connection, subject)


def _dbt_postgres(settings: Settings) -> Iterator[Finding]:
    with postgres.connect(settings.urls.dbt_postgres, "gcc-platform doctor") as connection:
        yield from privileges.of_postgres(connection, "PostgreSQL, dbt", "dbt")


def _migration(_settings: Settings) -> Iterator[Finding]:
    return migration_conditions.examine(MigrationSettings())


def _dbt(settings: Settings) -> Iterator[Finding]:
    dbt_environment(settings)
    yield Finding("dbt", DBT.exists(), "installed beside this Python", "run make setup, or pip install '.[platform]'")


def _clock(subject: str, epoch_seconds: float) -> Finding:
    """Freshness, windows and leases compare the times of several machines."""
    skew = abs(time.time() - epoch_seconds)
    advice = "synchronize the clocks of both machines (NTP)"
    return Finding(subject, skew < _SKEW_SECONDS, f"its clock differs from this machine's by {skew:.1f} s", advice)


def _all_exist(subject: str, what: str, names: list[str], missing: list[str]) -> Finding:
    if missing:
        return Finding(subject, False, f"{len(missing)} of {len(names)} {what} are missing: {missing[0]} ...", _INIT)
    return Finding(subject, True, f"all {len(names)} {what} exist")


def _line(finding: Finding) -> str:
    mark = click.style("ok  ", fg="green") if finding.ok else click.style("FAIL", fg="red")
    if finding.is_hint:
        mark = click.style("hint", fg="yellow")
    advice = f"\n     -> {finding.advice}" if finding.is_hint or not finding.ok else ""
    return f"{mark} {finding.subject}: {finding.message}{advice}"
