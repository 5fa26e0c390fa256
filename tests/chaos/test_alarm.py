"""RabbitMQ's alarm: it reads nothing more from who publishes, so that what it holds can drain."""

import os
import subprocess
import sys
from pathlib import Path

from tests.chaos.accounting import drained
from tests.chaos.events import good, publish
from tests.chaos.field import Field, opened
from tests.chaos.publishing import TYPES
from tests.harness.running import eventually

_EVENTS = 300


def unacknowledged(field: Field, queue: str) -> int:
    """By the broker's own count."""
    table = field.rabbitmqctl("list_queues", "--no-table-headers", "name", "messages_unacknowledged", "messages_ready")
    counts = {name: int(held) + int(ready) for name, held, ready in map(str.split, table.splitlines())}
    return counts[queue]


def doctor(field: Field) -> str:
    """What gcc-platform doctor says of these servers."""
    program = Path(sys.executable).with_name("gcc-platform")
    return subprocess.run(
        [program, "doctor"], env={**os.environ, **field.environment}, capture_output=True, text=True, check=False
    ).stdout


def held(field: Field) -> int:
    """Messages that the service has and has not settled."""
    return sum(field.service.status(name)["in_flight"] for name in TYPES)


def test_what_is_stored_is_acknowledged_though_a_dead_letter_waits_for_the_end_of_the_brokers_alarm(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as field:
        field.sql("DETACH TABLE _e.post_log_events")  # what is stored during the alarm must have come before it
        field.clickhouse_way.close()
        publish(field, "order_log", [b"{}", *good("order_log", _EVENTS)])
        publish(field, "post_log", good("post_log", _EVENTS))
        eventually(lambda: held(field) == 2 * _EVENTS + 1)
        field.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1")
        field.clickhouse_way.open()
        eventually(lambda: "blocked" in field.rabbitmqctl("list_connections", "state"), what="a letter was published")
        field.sql("ATTACH TABLE _e.post_log_events")
        eventually(lambda: unacknowledged(field, "post_log_events_q") == 0, what="acknowledged")
        assert "takes no messages: low on memory" in str(field.service.obstacles())
        assert "takes no messages: low on memory" in doctor(field)
        field.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
        drained(field)
        assert field.service.status("order_log")["dead_lettered"] == {"invalid_field": 1}
        assert int(field.sql("SELECT count() FROM _e.order_log_events FINAL")) == _EVENTS
