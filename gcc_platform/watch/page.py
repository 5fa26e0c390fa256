"""The status page: one HTML document without scripts, which works offline. All text is escaped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from gcc_platform.watch.report import Report
from ingest_service.broker.topology import UNROUTABLE_QUEUE
from ingest_service.events.registry import EVENT_TYPES

_STALE_SECONDS = 120
_TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class _TypeRow:
    name: str
    state: str
    why: str
    ready: str
    letters_ready: str
    consumers: str
    behind: str
    landed: str
    dead_letters: str


def render(
    report: Report, links: Sequence[tuple[str, str]], *, has_alertmanager: bool, clock: Callable[[], float]
) -> str:
    """The page. `links` are names with URLs, for the head of the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {"duration": duration, "clock": _clock, "ago": lambda at: _ago(at, clock())}
    age = clock() - report.at
    return environment.from_string(_TEMPLATE.read_text()).render(
        report=report,
        headline=headline(report),
        mood=_mood(report),
        links=links,
        has_alertmanager=has_alertmanager,
        stale=duration(age) if age > _STALE_SECONDS else "",
        types=_types(report),
        unroutable=_ready(report).get(UNROUTABLE_QUEUE),
    )


def headline(report: Report) -> str:
    """The state of everything in some words."""
    firing = [line for line in report.alerts if line.state == "firing"]
    pages = sum(line.severity == "page" for line in firing)
    if firing:
        return f"{len(firing)} alerts, {pages} of them urgent" if len(firing) > 1 else f"1 alert: {firing[0].name}"
    return "All well" if not report.alerts else "All known: what is wrong is silenced or explained"


def _mood(report: Report) -> str:
    firing = {line.severity for line in report.alerts if line.state == "firing"}
    return "page" if "page" in firing else "warn" if firing else "ok"


def _types(report: Report) -> list[_TypeRow]:
    states = {each.event_type: each for each in report.types}
    queues = {each.queue: each for each in report.queues}
    rows = []
    for each in EVENT_TYPES.values():
        state, queue, letters = states.get(each.name), queues.get(each.queue), queues.get(each.error_queue)
        rows.append(
            _TypeRow(
                each.name,
                state.state if state else "unknown",
                state.why if state else "",
                _number(queue.ready if queue else None),
                _number(letters.ready if letters else None),
                _number(queue.consumers if queue else None),
                duration(state.lag_seconds) if state else "?",
                _number(state.landed if state else None),
                _number(state.dead_letters if state else None),
            )
        )
    return rows


def _ready(report: Report) -> Mapping[str, int]:
    return {queue.queue: queue.ready for queue in report.queues}


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ago(at: float, now: float) -> str:
    return f"{duration(now - at)} ago" if at else "never"


def duration(seconds: float) -> str:
    """A duration in its largest sensible unit."""
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
