from dataclasses import dataclass

from prometheus_client import generate_latest

from ingest_service.clickhouse.errors import KNOWN
from ingest_service.events.validation import Reason
from ingest_service.observability.health import Health, TypeHealth
from ingest_service.observability.metrics import Metrics
from ingest_service.observability.watch_visits import PATIENCE_SECONDS


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def health(now: float, **state: float) -> Health:
    one = TypeHealth("order_log")
    one.running()
    one.in_flight = 5
    for name, value in state.items():
        setattr(one, name, value)
    return Health("connected", "connected", {"order_log": one}, patience=60, clock=lambda: now)


def test_a_type_that_holds_messages_and_settles_none_is_not_ready() -> None:
    assert health(1_100, held_since=1_000, moved_at=900).obstacles() == {
        "order_log": "stuck: 5 messages held, none settled for 100 s"
    }


def test_a_type_that_settles_or_holds_nothing_is_ready() -> None:
    assert health(1_100, held_since=1_000, moved_at=1_090).obstacles() == {}
    assert health(1_100, held_since=1_090, moved_at=0).obstacles() == {}
    assert health(1_100, moved_at=0).obstacles() == {}


def test_the_watermark_is_the_oldest_message_held_or_now() -> None:
    assert health(1_100, held_since=1_000).types["order_log"].watermark(1_100) == 1_000
    assert health(1_100).types["order_log"].watermark(1_100) == 1_100


def test_ready_warns_and_stays_ready_when_the_watch_has_not_asked_for_five_minutes() -> None:
    clock = Clock()
    health = Health("connected", "connected", clock=clock)
    clock.now += PATIENCE_SECONDS
    assert health.warnings() == {}
    clock.now += 1
    assert "has not asked for 301 s" in health.warnings()["watch"]
    assert health.obstacles() == {}
    health.note_watch()
    assert health.warnings() == {}


def test_every_type_and_reason_has_a_series_from_the_start() -> None:
    shown = generate_latest(Metrics(Health(types={"order_log": TypeHealth("order_log")})).registry).decode()
    for reason in Reason:
        assert f'gcc_ingest_dead_letters_total{{reason="{reason}",type="order_log"}} 0.0' in shown
    for known in KNOWN:
        labels = f'reason="{known.reason}",type="order_log",verdict="{known.error_class}"'
        assert f"gcc_ingest_retries_total{{{labels}}} 0.0" in shown
    assert "gcc_build_info{" in shown
    assert "process_cpu_seconds_total" in shown
