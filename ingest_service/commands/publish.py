"""gcc-ingest publish: events from a file to the broker, confirmed."""

import asyncio
import sys
from collections.abc import Iterable, Iterator

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ingest_service.broker.publisher import Publisher
from ingest_service.commands.errors import exit_on_error
from ingest_service.commands.ndjson import Lines, NotNdjson, open_lines
from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.settings import Settings

_AT_ONCE = 2_000  # unconfirmed messages
_BYTES_AT_ONCE = 16 * 2**20


@click.command()
@click.argument("type_", metavar="TYPE", type=click.Choice(sorted(EVENT_TYPES)))
@click.argument("file", type=click.Path(allow_dash=True))
def publish(type_: str, file: str) -> None:
    """Publish the events of FILE (NDJSON; .gz too; - is stdin) as events of TYPE.

    Every event is confirmed by the broker. A line that is no JSON object, or longer than the service takes
    (GCC_MAX_BODY_BYTES), ends it and is named. If the command fails half-way it says how many were; publishing the
    whole file again is safe, because events are told apart by their event_id.

    \b
    Examples:
      gcc-ingest publish post_log posts.ndjson.gz
      jq -c .events[] dump.json | gcc-ingest publish profile_log -
    """
    with exit_on_error():
        settings = Settings()
        with open_lines(file, settings.max_body_bytes) as lines, _progress() as progress:
            _publish_all(settings, EVENT_TYPES[type_], lines, progress)


def _publish_all(settings: Settings, event_type: EventType, lines: Lines, progress: Progress) -> None:
    """Publish every line and say how many events were confirmed, also where it fails."""
    sent = _Sent(progress, lines)
    try:
        asyncio.run(_publish(settings, event_type, lines, sent))
    finally:
        progress.stop()
        click.echo(f"{sent.count} events confirmed")


class _Sent:
    """How many events the broker has confirmed, shown as it grows."""

    def __init__(self, progress: Progress, lines: Lines) -> None:
        self.count = 0
        self._progress = progress
        self._lines = lines
        self._task = progress.add_task("publishing", total=lines.size, count=0)

    def add(self, count: int) -> None:
        self.count += count
        self._progress.update(self._task, completed=self._lines.position, count=self.count)


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[count]} events"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


async def _publish(settings: Settings, event_type: EventType, lines: Iterable[bytes], sent: _Sent) -> None:
    async with Publisher(settings.amqp(), "gcc-ingest publish") as publisher:
        for bodies in _chunks(lines):
            await publisher.publish(event_type.routing_key, bodies)
            sent.add(len(bodies))


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines by the chunk, bounded in number and bytes; where reading fails, what was read before comes first."""
    chunk: list[bytes] = []
    size = 0
    try:
        for line in lines:
            chunk.append(line)
            size += len(line)
            if len(chunk) == _AT_ONCE or size >= _BYTES_AT_ONCE:
                yield chunk
                chunk, size = [], 0
    except NotNdjson:
        yield chunk
        raise
    yield chunk
