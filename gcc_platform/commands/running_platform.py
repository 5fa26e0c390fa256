"""What gcc-platform watch would see now, as findings: services, waiting messages, Dagster, disks."""

import asyncio
from collections.abc import Iterator

from gcc_platform.commands import server_versions
from gcc_platform.commands.finding import Finding
from gcc_platform.commands.watch import folders
from gcc_platform.settings import Settings
from gcc_platform.watch import service
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.http_client import NoAnswer, http_session, request
from gcc_platform.watch.report import Line, Report
from gcc_platform.watch.seen import Queue
from gcc_platform.watch.settings import OFF, WatchSettings
from ingest_service.broker.topology import UNROUTABLE_QUEUE
from ingest_service.events.registry import EVENT_TYPES

_SERVERS = ("RabbitMQ", "ClickHouse", "PostgreSQL")
"""Checked more thoroughly elsewhere."""
_ERROR_QUEUES = {each.error_queue for each in EVENT_TYPES.values()}
_OPTIONAL = {"GCC_INGEST_HTTP_URL": "ingest service", "GCC_ARCHIVE_HTTP_URL": "archive", "GCC_DAGSTER_URL": "Dagster"}


def examine(settings: Settings) -> Iterator[Finding]:
    """Look once. Raises MissingUrl and BadUrl."""
    watch = WatchSettings()
    report = asyncio.run(service.look_once(watch, settings, folders()))
    yield from _components(report)
    yield from _not_asked(watch)
    yield _alertmanager(settings.urls.alertmanager)
    yield from waiting(report)
    for line in report.alerts:
        if not _is_reported_elsewhere(line):
            yield Finding(line.name, False, line.summary, line.do)


def _components(report: Report) -> Iterator[Finding]:
    for each in report.components:
        if each.name not in _SERVERS and each.state == "ok":
            yield Finding(each.name, True, "works")


def _not_asked(watch: WatchSettings) -> Iterator[Finding]:
    asked = zip(_OPTIONAL.items(), (watch.ingest, watch.archive, watch.dagster), strict=True)
    for (variable, name), url in asked:
        if not url:
            yield Finding(name, True, f"not asked, because {variable} is {OFF}")


def _alertmanager(url: str) -> Finding:
    """A single look sends nothing to it, and so does not notice that it is down."""
    if not url:
        return Finding("Alertmanager", True, "not asked, because ALERTMANAGER_URL is not set: nobody is notified")
    try:
        return server_versions.check("Alertmanager", "Alertmanager", asyncio.run(_alertmanager_version(url)))
    except NoAnswer as error:
        return Finding("Alertmanager", False, str(error), KINDS["AlertmanagerDown"].do)


async def _alertmanager_version(url: str) -> str:
    async with http_session() as session:
        status = await request(session, "GET", f"{url}/api/v2/status")
    return str(status["versionInfo"]["version"])


def waiting(report: Report) -> Iterator[Finding]:
    """Messages in the error queues and in the queue of unroutable ones. Nothing if the broker did not answer."""
    yield from _dead_letters([each for each in report.queues if each.queue in _ERROR_QUEUES])
    for queue in report.queues:
        if queue.queue == UNROUTABLE_QUEUE:
            message = f"{queue.ready} messages without a queue of their own wait in {queue.queue}"
            yield Finding("unroutable messages", not queue.ready, message, KINDS["UnroutableMessages"].do)


def _dead_letters(queues: list[Queue]) -> Iterator[Finding]:
    full = [each for each in queues if each.ready]
    for each in full:
        archived = "gcc-ingest archive reads it" if each.consumers else "nothing reads it"
        message = f"{each.ready} dead letters wait in {each.queue}, {archived}"
        yield Finding("dead letters", each.consumers > 0, message, KINDS["ArchiveDown"].do)
    if queues and not full:
        yield Finding("dead letters", True, f"0 messages wait in {len(queues)} error queues")


def _is_reported_elsewhere(line: Line) -> bool:
    if line.name == "DiskFilling":
        return line.about["disk"].startswith("ClickHouse ")
    if line.name == "QueueWithoutConsumer":
        return line.about["queue"] in _ERROR_QUEUES
    return line.name == "UnroutableMessages" or line.name.startswith(("RabbitMQ", "ClickHouse", "Postgres"))
