from ingest_service.observability.health import Health, TypeHealth


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
