"""The limit looks at the newest messages only, and at their share."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest_service.dead_letters.limit import DeadLetterLimit, LimitExceeded

SHARE = 0.5
BATCHES = st.lists(
    st.integers(1, 600).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count))), max_size=30
)


def limit_after(*batches: tuple[int, int]) -> DeadLetterLimit:
    limit = DeadLetterLimit(SHARE)
    for messages, letters in batches:
        limit.add(messages, letters)
    return limit


def test_a_hundred_dead_letters_are_allowed_whatever_their_share() -> None:
    assert limit_after().exceeded(100, 100) is None
    assert limit_after().exceeded(101, 101) == LimitExceeded(letters=101, messages=101)


def test_the_share_itself_is_allowed_and_one_more_is_not() -> None:
    limit = limit_after((1_000, 400))
    assert limit.exceeded(400, 300) is None
    assert limit.exceeded(400, 301) == LimitExceeded(letters=701, messages=1_400)


def test_what_was_good_long_ago_does_not_excuse_what_is_bad_now() -> None:
    assert limit_after((100_000, 0), (500, 250), (500, 250)).exceeded(300, 300) == LimitExceeded(800, 1_300)


@given(BATCHES)
def test_it_counts_the_fewest_newest_batches_that_have_a_thousand_messages(batches: list[tuple[int, int]]) -> None:
    limit = DeadLetterLimit(0)
    for batch in batches:
        limit.add(*batch)
    window: list[tuple[int, int]] = []
    for batch in reversed(batches):
        if sum(count for count, _ in window) >= 1_000:
            break
        window.append(batch)
    exceeded = limit.exceeded(200, 200)
    assert exceeded == LimitExceeded(200 + sum(letters for _, letters in window), 200 + sum(m for m, _ in window))


@given(st.integers(1, 5_000), st.lists(st.integers(0, 5_000), min_size=2, max_size=10))
def test_more_dead_letters_never_bring_a_batch_below_the_limit(messages: int, letters: list[int]) -> None:
    limit = limit_after((800, 300))
    above = [limit.exceeded(messages, count) is not None for count in sorted(min(each, messages) for each in letters)]
    assert all(later or not earlier for earlier, later in pairwise(above))
