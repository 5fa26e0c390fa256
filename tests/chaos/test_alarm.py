"""RabbitMQ's alarm: it reads nothing more from who publishes, so that what it holds can drain."""

from pathlib import Path

from tests.chaos.accounting import drained
from tests.chaos.events import good, publish
from tests.chaos.field import Field, opened
from tests.ingest_service.running import eventually

_EVENTS = 300


def unacknowledged(field: Field, queue: str) -> int:
    """By the broker's own count."""
    table = field.rabbitmqctl("list_queues", "--no-table-headers", "name", "messages_unacknowledged", "messages_ready")
    counts = {name: int(held) + int(ready) for name, held, ready in map(str.split, table.splitlines())}
    return counts[queue]


def test_what_is_stored_is_acknowledged_though_a_dead_letter_waits_for_the_end_of_the_brokers_alarm(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as field:
        field.clickhouse_way.close()
        publish(field, "order_log", [b"{}", *good("order_log", _EVENTS)])
        publish(field, "post_log", good("post_log", _EVENTS))
        eventually(lambda: field.service.status("post_log")["in_flight"] == _EVENTS)
        eventually(lambda: field.service.status("order_log")["in_flight"] == _EVENTS + 1)
        field.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1")
        field.clickhouse_way.open()
        eventually(lambda: "blocked" in str(field.service.obstacles()), what="blocked is said")
        eventually(lambda: unacknowledged(field, "post_log_events_q") == 0, what="acknowledged")
        field.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
        drained(field)
        assert field.service.status("order_log")["dead_lettered"] == {"invalid_field": 1}
        assert int(field.sql("SELECT count() FROM _e.order_log_events FINAL")) == _EVENTS
