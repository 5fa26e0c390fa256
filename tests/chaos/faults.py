"""The faults: how each strikes for real, and how it is healed."""

import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.field import Field

TABLE = "_e.order_log_events"


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong. Two with the same target cannot go wrong at once."""

    name: str
    target: str
    strike: Callable[[Field], None]
    heal: Callable[[Field], None]
    seconds: float = 1.0
    """How long it lasts in the short form."""
    noticed_as: str | None = None
    """The verdict and reason by which the service counts its retries: a fault that nobody notices proves nothing."""


def _kill_service(field: Field) -> None:
    field.service.kill()


def _terminate_service(field: Field) -> None:
    assert field.service.terminate() == 0, "SIGTERM is an orderly stop"


def _restart_service(field: Field) -> None:
    field.service.restart()


def _pause_service(field: Field) -> None:
    field.service.process.send_signal(signal.SIGSTOP)


def _resume_service(field: Field) -> None:
    field.service.process.send_signal(signal.SIGCONT)


def _signal_group(pid: int | None, number: signal.Signals) -> None:
    assert pid is not None
    os.killpg(pid, number)


def _clickhouse_with(change: Callable[[str], str] | None, file: str = "users.xml") -> Callable[[Field], None]:
    """ClickHouse started anew with another configuration: the engine in chdb does not read it again by itself."""

    def strike(field: Field) -> None:
        field.clickhouse.change = (file, change) if change else None
        field.kill(field.clickhouse)
        field.start(field.clickhouse)

    return strike


def _profile(setting: str) -> Callable[[str], str]:
    """For the service's user alone: who looks on must see."""

    def change(text: str) -> str:
        own = _own_profile(text)
        profile = f"<profiles><stricken><profile>default</profile>{setting}</stricken>"
        return text.replace(own, own.replace("<profile>default", "<profile>stricken")).replace("<profiles>", profile)

    return change


def _own_profile(text: str) -> str:
    """The service's user's part of users.xml, up to its profile."""
    found = re.search(r"<ingest>.*?</profile>", text, re.DOTALL)
    assert found is not None
    return found[0]


def _quota(text: str) -> str:
    interval = "<interval><duration>3600</duration><written_bytes>1</written_bytes></interval>"
    quotas = f"<quotas><stricken>{interval}</stricken></quotas>"
    own = _own_profile(text)
    return text.replace(own, f"{own}<quota>stricken</quota>").replace("</clickhouse>", f"{quotas}</clickhouse>")


def _disk_full(text: str) -> str:
    """As if all but a little of the disk were taken, by ClickHouse's own count: an exabyte is to be kept free."""
    disk = f"<default><keep_free_space_bytes>{10**18}</keep_free_space_bytes></default>"
    return text.replace(
        "</clickhouse>", f"<storage_configuration><disks>{disk}</disks></storage_configuration></clickhouse>"
    )


def _revoked(text: str) -> str:
    return text.replace("ALTER, DROP, INSERT, SELECT, TRUNCATE, OPTIMIZE ON _e.*", "ALTER, DROP, SELECT ON _e.*")


def _sql(*statements: str) -> Callable[[Field], None]:
    def run(field: Field) -> None:
        for statement in statements:
            field.sql(statement)

    return run


_COLUMN = f"ALTER TABLE {TABLE} ADD COLUMN dimensions String DEFAULT '{{}}' CODEC(ZSTD(1)) AFTER metrics"

FAULTS: Sequence[Fault] = (
    Fault("service killed", "service", _kill_service, _restart_service),
    Fault("service stopped by SIGTERM", "service", _terminate_service, _restart_service),
    Fault("service paused", "service", _pause_service, _resume_service, 3.0),
    Fault("broker killed", "broker", lambda field: field.kill(field.broker), lambda field: field.start(field.broker)),
    Fault(
        "broker paused",
        "broker",
        lambda field: _signal_group(field.broker.process.pid(), signal.SIGSTOP),
        lambda field: _signal_group(field.broker.process.pid(), signal.SIGCONT),
        3.0,
    ),
    Fault(
        "ClickHouse killed",
        "ClickHouse",
        lambda field: field.kill(field.clickhouse),
        lambda field: field.start(field.clickhouse),
        noticed_as="transient/no_answer",
    ),
    Fault(
        "ClickHouse paused",
        "ClickHouse",
        lambda field: _signal_group(field.clickhouse.process.pid(), signal.SIGSTOP),
        lambda field: _signal_group(field.clickhouse.process.pid(), signal.SIGCONT),
        3.0,
    ),
    Fault(
        "broker cut off",
        "way to the broker",
        lambda field: field.broker_way.close(),
        lambda field: field.broker_way.open(),
    ),
    Fault(
        "broker out of reach",
        "way to the broker",
        lambda field: field.broker_way.stall(),
        lambda field: field.broker_way.resume(),
        5.0,  # long enough for heartbeats of 2 s to be missed
    ),
    Fault(
        "broker slow",
        "way to the broker",
        lambda field: field.broker_way.delay(0.05),
        lambda field: field.broker_way.delay(0),
        2.0,
    ),
    Fault(
        "ClickHouse cut off",
        "way to ClickHouse",
        lambda field: field.clickhouse_way.close(),
        lambda field: field.clickhouse_way.open(),
        noticed_as="transient/no_answer",
    ),
    Fault(
        "ClickHouse out of reach",
        "way to ClickHouse",
        lambda field: field.clickhouse_way.stall(),
        lambda field: field.clickhouse_way.resume(),
        3.0,
    ),
    Fault(
        "ClickHouse slow",
        "way to ClickHouse",
        lambda field: field.clickhouse_way.delay(0.2),
        lambda field: field.clickhouse_way.delay(0),
        2.0,
    ),
    Fault(
        "column dropped",
        "ClickHouse",
        _sql(f"ALTER TABLE {TABLE} DROP COLUMN dimensions"),
        _sql(_COLUMN),
        noticed_as="config_fault/unknown_field",
    ),
    Fault(
        "too many parts",
        "ClickHouse",
        _sql(f"ALTER TABLE {TABLE} MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1"),
        _sql(f"ALTER TABLE {TABLE} RESET SETTING parts_to_delay_insert, parts_to_throw_insert"),
        noticed_as="pressure/too_many_parts",
    ),
    Fault(
        "disk full",
        "ClickHouse",
        _clickhouse_with(_disk_full, "config.xml"),
        _clickhouse_with(None),
        noticed_as="pressure/not_enough_space",
    ),
    Fault(
        "quota used up",
        "ClickHouse",
        _clickhouse_with(_quota),
        _clickhouse_with(None),
        noticed_as="pressure/quota_exceeded",
    ),
    Fault(
        "memory limit",
        "ClickHouse",
        _clickhouse_with(_profile("<max_memory_usage>100000</max_memory_usage>")),
        _clickhouse_with(None),
        noticed_as="pressure/memory_limit_exceeded",
    ),
    Fault(
        "user read-only",
        "ClickHouse",
        _clickhouse_with(_profile("<readonly>2</readonly>")),
        _clickhouse_with(None),
        noticed_as="config_fault/readonly",
    ),
    Fault(
        "INSERT revoked",
        "ClickHouse",
        _clickhouse_with(_revoked),
        _clickhouse_with(None),
        noticed_as="config_fault/access_denied",
    ),
)
