"""What the marts of operations must hold, computed from the events in plain Python by the documented rules.

Like tests/oracle.py it knows no SQL and nothing of the project. Rows are tuples, in the order of the mart's columns.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from tests.dbt_project.oracle import Event, moment

Row = tuple[Any, ...]


def trace_latency(events: Iterable[Event]) -> list[Row]:
    """The rows of mart_trace_latency: each trace as its newest version, where and when that was."""
    newest: dict[Row, Event] = {}
    for event in sorted(events, key=_recency):
        newest[event["platform"], event["trace_id"]] = event

    groups: defaultdict[Row, list[Event]] = defaultdict(list)
    for event in newest.values():
        uri = event["uri"].partition("?")[0]
        groups[event["platform"], event["service_name"], uri, moment(event["started_at"]).date()].append(event)
    return [(*key, *_latency(group)) for key, group in groups.items()]


def _latency(traces: list[Event]) -> Row:
    errors = sum(trace["status_code"] >= 400 or trace["status_code"] < 100 for trace in traces)
    durations = [float(trace["duration_ms"]) for trace in traces if trace["duration_ms"] >= 0]
    quantiles = (_quantile(durations, percent) for percent in (50, 95, 99))
    return len(traces), errors, errors / len(traces), len(durations), *quantiles, max(durations, default=None)


def scrape_operations(events: Iterable[Event]) -> list[Row]:
    """The rows of mart_scrape_operations: each request once an hour, as what it last was in it."""
    hours: defaultdict[Row, dict[str, Event]] = defaultdict(dict)
    for event in events:
        hour = moment(event["event_timestamp"]).replace(minute=0, second=0, microsecond=0)
        hours[event["platform"], event["flow"], hour][event["event_id"]] = event
    return [(*key, *_hour(sorted(hour.values(), key=_recency))) for key, hour in hours.items()]


def _hour(events: list[Event]) -> Row:
    requests: defaultdict[int, list[Event]] = defaultdict(list)
    for event in events:
        requests[event["scl_id"]].append(event)

    statuses = Counter(history[-1]["status"].upper() for history in requests.values())
    known = [statuses[status] for status in ("PENDING", "PROCESSING", "COMPLETE", "FAILED")]
    finished, failed = known[2] + known[3], known[3]
    waits = [wait for history in requests.values() if (wait := _wait(history)) is not None]
    reasons = Counter(_reason(history) for history in requests.values() if history[-1]["status"].upper() == "FAILED")
    top = sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))[:3]
    return (
        len(requests),
        *known,
        len(requests) - sum(known),
        failed / finished if finished else None,
        len(waits),
        sum(waits) / len(waits) / 1_000_000 if waits else None,
        *(None if wait is None else wait / 1_000_000 for wait in (_quantile(waits, 50), _quantile(waits, 95))),
        "; ".join(f"{reason} ({count})" for reason, count in top),
        len(events),
        moment(events[-1]["event_timestamp"]),
    )


def _wait(history: list[Event]) -> int | None:
    """Microseconds from the request's first event to its newest pick."""
    picks = [event["picked_at"] for event in history if event["picked_at"] is not None]
    if not picks:
        return None
    wait = (moment(picks[-1]) - moment(history[0]["event_timestamp"])) // timedelta(microseconds=1)
    return wait if wait >= 0 else None


def _reason(history: list[Event]) -> str:
    reasons = [event["reason"] for event in history if event["status"].upper() == "FAILED"]
    given = [reason for reason in reasons if reason is not None]
    return given[-1] if given else "unknown"


def assets(events: Iterable[Event]) -> list[Row]:
    """The rows of mart_assets: each asset once a day, in the state it had at the end of that."""
    days: defaultdict[Row, dict[str, Event]] = defaultdict(dict)
    for event in events:
        day = moment(event["event_timestamp"]).date()
        days[event["platform"], event["entity_id"], event["asset_id"], day][event["event_id"]] = event

    groups: defaultdict[Row, list[list[Event]]] = defaultdict(list)
    for (platform, _, _, day), events_of_day in days.items():
        history = sorted(events_of_day.values(), key=_recency)
        newest = history[-1]
        groups[platform, newest["entity_type"], newest["asset_type"], day, newest["status"]].append(history)
    return [(*key, *_assets(histories)) for key, histories in groups.items()]


def _assets(histories: list[list[Event]]) -> Row:
    times = [moment(event["event_timestamp"]) for history in histories for event in history]
    return len(histories), len({history[0]["entity_id"] for history in histories}), len(times), min(times), max(times)


def _quantile(values: list[Any], percent: int) -> Any:
    return sorted(values)[len(values) * percent // 100] if values else None


def _recency(event: Event) -> Row:
    return moment(event["event_timestamp"]), event["event_id"]
