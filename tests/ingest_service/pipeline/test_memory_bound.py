from hypothesis import given
from hypothesis import strategies as st

from ingest_service.pipeline.memory_bound import MemoryBound

LIMIT = 1_200


def test_one_may_take_its_own_part_and_what_is_common() -> None:
    bound = MemoryBound(LIMIT, 3)
    share = bound.share(lambda: None)
    assert not share.take(300)
    assert not share.take(299)
    assert share.take(1)


def test_who_holds_everything_that_is_common_keeps_nobody_from_their_own_part() -> None:
    bound = MemoryBound(LIMIT, 3)
    stuck, other = bound.share(lambda: None), bound.share(lambda: None)
    assert stuck.take(600)
    assert not other.take(299)
    assert other.take(1)


def test_whoever_waited_is_told_when_another_one_gives_back() -> None:
    bound = MemoryBound(LIMIT, 3)
    told: list[str] = []
    first, second = bound.share(lambda: told.append("first")), bound.share(lambda: told.append("second"))
    assert first.take(600)
    assert second.take(400)
    first.give_back(600)
    assert told == ["first", "second"]
    assert not second.take(1)


@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 200)), max_size=60))
def test_all_together_never_hold_more_than_the_limit_and_one_step_each(steps: list[tuple[int, int]]) -> None:
    bound = MemoryBound(LIMIT, 4)
    free = [True] * 4

    def has_room(position: int) -> None:
        free[position] = True

    shares = [bound.share(lambda position=position: has_room(position)) for position in range(4)]  # type: ignore[misc]
    for position, size in steps:
        share = shares[position]
        if free[position]:
            free[position] = not share.take(size)
        elif share.held:
            share.give_back(min(share.held, size))
        assert sum(each.held for each in shares) <= LIMIT + 4 * 200
    for share in shares:
        share.give_back(share.held)
    assert all(free)
