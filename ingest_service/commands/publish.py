"""gcc-ingest publish: publish the events of a file, with confirms."""

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

_CHUNK_MESSAGES = 2_000  # unconfirmed at a time
_CHUNK_BYTES = 16 * 2**20


@click.command()
@click.argument("type_", metavar="TYPE", type=click.Choice(sorted(EVENT_TYPES)))
@click.argument("file", type=click.Path(allow_dash=True))
def publish(type_: str, file: str) -> None:
    """Publish the events of FILE (NDJSON, optionally gzipped; - is stdin) as events of TYPE.

    Every event is confirmed by the broker. The command stops at a line that is not a JSON object or exceeds
    GCC_MAX_BODY_BYTES, and reports its number. If it fails, it reports how many events were confirmed; publishing the
    whole file again is safe, because events are de-duplicated by their event_id.

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
    """Publish every line and print the number of confirmed events, also on failure."""
    sent = _Sent(progress, lines)
    try:
        asyncio.run(_publish(settings, event_type, lines, sent))
    finally:
        progress.stop()
        click.echo(f"{sent.count} events confirmed")


class _Sent:
    """The number of confirmed events, shown as a progress bar."""

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
    """Group lines into chunks bounded in number and bytes. Lines before an invalid one are yielded before it raises."""
    chunk: list[bytes] = []
    size = 0
    try:
        for line in lines:
            chunk.append(line)
            size += len(line)
            if len(chunk) == _CHUNK_MESSAGES or size >= _CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
    except NotNdjson:
        yield chunk
        raise
    yield chunk
