"""Servers and processes that are killed, stopped, or refuse."""

import signal

from tests.oncall.fault import Fault
from tests.oncall.platform import Platform

_TYPES_STAND_STILL = ("IngestWaiting", "IngestRetrying", "QueueWithoutConsumer", "SensorFailed", "CheckFailed")


def _server(name: str, alert: str, *muted: str, text: str = "refused", quick: bool = False) -> Fault:
    return Fault(
        f"{name} killed",
        lambda platform: platform.kill_server(name),
        lambda platform: platform.start_servers(),
        {"alertname": alert, "severity": "page", "team": "platform"},
        seconds=60,
        text=text,
        muted=muted,
        is_quick=quick,
    )


def _kill_ingest(platform: Platform) -> None:
    platform.kill(platform.ingest)


def _start_ingest(platform: Platform) -> None:
    platform.start(platform.ingest)


FAULTS = (
    Fault(
        "a disk is almost full",
        lambda platform: platform.fill_disk(),
        lambda platform: platform.empty_disk(),
        {"alertname": "DiskFilling", "severity": "page"},
        seconds=60,
        text="(3%)",
        needs_a_disk=True,
    ),
    _server("ClickHouse", "ClickHouseDown", *_TYPES_STAND_STILL, quick=True),
    _server("RabbitMQ", "RabbitMQDown", *_TYPES_STAND_STILL, text="no broker answers"),
    _server("PostgreSQL", "PostgresDown"),
    Fault(
        "ingest service killed",
        _kill_ingest,
        _start_ingest,
        {"alertname": "IngestDown", "severity": "page", "team": "ingest", "cause": "ingest"},
        seconds=60,
        text="Connection refused",
        muted=("QueueWithoutConsumer",),
        is_quick=True,
    ),
    Fault(
        "ingest service stopped (SIGSTOP)",
        lambda platform: platform.signal(platform.ingest, signal.SIGSTOP),
        lambda platform: platform.signal(platform.ingest, signal.SIGCONT),
        {"alertname": "IngestDown", "severity": "page", "team": "ingest"},
        seconds=60,
        text="does not answer within 10 s",
    ),
    Fault(
        "archive killed",
        lambda platform: platform.kill(platform.archive),
        lambda platform: platform.start(platform.archive),
        {"alertname": "ArchiveDown", "severity": "warn", "team": "ingest"},
        seconds=60,
        text="refused",
    ),
    Fault(
        "Dagster's webserver killed",
        lambda platform: platform.kill(platform.webserver),
        lambda platform: platform.start(platform.webserver),
        {"alertname": "DagsterDown", "severity": "page"},
        seconds=60,
        text="refused",
    ),
    Fault(
        "Dagster's daemon killed",
        lambda platform: platform.kill(platform.daemon),
        lambda platform: platform.start(platform.daemon),
        {"alertname": "DaemonDown", "severity": "page", "daemon": "scheduler"},
        seconds=240,
        text="no heartbeat",
        heals_within=180,
    ),
    Fault(
        "code location with a syntax error",
        lambda platform: platform.load_definitions("defs = (\n"),
        lambda platform: platform.load_definitions(),
        {"alertname": "CodeLocationFailed", "severity": "page", "location": "gcc"},
        seconds=60,
        text="does not load",
    ),
)
