"""What happens to ClickHouse's process, its disk and the service's tables."""

import os
import signal
from collections.abc import Callable, Sequence

from tests.chaos import tmpfs
from tests.chaos.faults.fault import Act, Fault
from tests.chaos.field import Field

_TARGET = "ClickHouse"
TABLE = "_e.order_log_events"
_COLUMN = f"ALTER TABLE {TABLE} ADD COLUMN dimensions String DEFAULT '{{}}' CODEC(ZSTD(1)) AFTER metrics"
_VIEW = "_e.ages_of_orders"


def clickhouse_with(change: Callable[[str], str] | None, file: str = "users.xml") -> Act:
    """ClickHouse started anew with another configuration: the engine in chdb does not read it again by itself."""

    def strike(field: Field) -> None:
        field.clickhouse.change = (file, change) if change else None
        field.kill(field.clickhouse)
        field.start(field.clickhouse)

    return strike


def _signal_group(field: Field, number: signal.Signals) -> None:
    pid = field.clickhouse.process.pid()
    assert pid is not None
    os.killpg(pid, number)


def _disk_full(text: str) -> str:
    """As if all but a little of the disk were taken, by ClickHouse's own count: an exabyte is to be kept free."""
    disk = f"<default><keep_free_space_bytes>{10**18}</keep_free_space_bytes></default>"
    return text.replace(
        "</clickhouse>", f"<storage_configuration><disks>{disk}</disks></storage_configuration></clickhouse>"
    )


def _sql(*statements: str) -> Act:
    def run(field: Field) -> None:
        for statement in statements:
            field.sql(statement)

    return run


FAULTS: Sequence[Fault] = (
    Fault(
        "ClickHouse killed",
        _TARGET,
        lambda field: field.kill(field.clickhouse),
        lambda field: field.start(field.clickhouse),
        noticed_as="transient/no_answer",
    ),
    Fault(
        "ClickHouse paused",
        _TARGET,
        lambda field: _signal_group(field, signal.SIGSTOP),
        lambda field: _signal_group(field, signal.SIGCONT),
        3.0,
    ),
    Fault(
        "column dropped",
        _TARGET,
        _sql(f"ALTER TABLE {TABLE} DROP COLUMN dimensions"),
        _sql(_COLUMN),
        noticed_as="config_fault/unknown_field",
    ),
    Fault(
        "too many parts",
        _TARGET,
        _sql(f"ALTER TABLE {TABLE} MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1"),
        _sql(f"ALTER TABLE {TABLE} RESET SETTING parts_to_delay_insert, parts_to_throw_insert"),
        noticed_as="pressure/too_many_parts",
    ),
    Fault(
        "an analyst's view fails",
        _TARGET,
        _sql(
            f"CREATE MATERIALIZED VIEW {_VIEW} ENGINE = Memory AS"
            f" SELECT toUInt32(if(cityHash64(event_id) % 40 = 0, 'unknown', '7')) AS age FROM {TABLE}"
        ),
        _sql(f"DROP VIEW {_VIEW} SYNC"),
        3.0,
        seen=lambda field: _VIEW.removeprefix("_e.") in field.service.status("order_log")["why"],
    ),
    Fault(
        "disk to be kept free",
        _TARGET,
        clickhouse_with(_disk_full, "config.xml"),
        clickhouse_with(None),
        noticed_as="pressure/not_enough_space",
    ),
    Fault(
        "disk full",
        _TARGET,
        lambda field: field.clickhouse_disk.fill(),
        lambda field: field.clickhouse_disk.empty(),
        noticed_as="pressure/not_enough_space",
        unless=lambda _field: tmpfs.why_not(),
    ),
)
