from hypothesis import given
from hypothesis import strategies as st

from ingest_service.broker.prefetch import Prefetch

MOST, TARGET = 20_000, 16 * 2**20


def filled(prefetch: Prefetch, size: int, rounds: int) -> None:
    """As many messages of a size as it allows, again and again."""
    for _ in range(rounds):
        prefetch.observe(prefetch.count, prefetch.count * size)


def test_small_messages_are_asked_for_in_full_after_a_few_steps() -> None:
    prefetch = Prefetch(MOST, TARGET)
    filled(prefetch, 450, 4)
    assert prefetch.count == MOST


def test_never_more_than_was_set_is_asked_for() -> None:
    prefetch = Prefetch(5, TARGET)
    filled(prefetch, 1, 5)
    assert prefetch.count == 5


def test_it_falls_at_once_when_messages_grow() -> None:
    prefetch = Prefetch(MOST, TARGET)
    filled(prefetch, 450, 4)
    assert prefetch.observe(1_000, 1_000 * 2**20)
    assert prefetch.count == 16


def test_a_change_that_is_not_worth_a_new_consumer_is_none() -> None:
    prefetch = Prefetch(MOST, TARGET)
    filled(prefetch, 2**20, 1)
    assert prefetch.count == 16
    assert not prefetch.observe(16, 16 * 2**20 * 4 // 5)


@given(size=st.integers(1, 200 * 2**20))
def test_of_messages_of_any_one_size_about_as_many_bytes_are_asked_for_as_shall_be(size: int) -> None:
    prefetch = Prefetch(MOST, TARGET)
    filled(prefetch, size, 10)
    assert prefetch.count >= 1
    assert prefetch.count * size <= max(TARGET, size)
    assert prefetch.count == MOST or prefetch.count * size * 2 > TARGET or prefetch.count < 16
