"""Every id that the tail has passed was found, or is in a gap until it is decided."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gcc_platform.migration.gaps import Gap, opened, remaining, runs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IDS = st.sets(st.integers(1, 60))


def ids_of(gaps: Iterable[Gap]) -> set[int]:
    return {each for gap in gaps for each in range(gap.first, gap.last + 1)}


@given(IDS, st.integers(1, 60), st.integers(1, 60))
def test_gaps_are_exactly_the_ids_that_are_missing(present: set[int], first: int, last: int) -> None:
    found = list(opened(present, first, last, NOW))
    assert ids_of(found) == set(range(first, last + 1)) - present
    assert all(one.last + 1 < other.first for one, other in pairwise(found))


@given(IDS, IDS)
def test_what_is_left_of_a_gap_is_what_was_not_found(present: set[int], later: set[int]) -> None:
    gaps = list(opened(present, 1, 60, NOW))
    assert ids_of(remaining(gaps, sorted(later), NOW)) == ids_of(gaps) - later


@given(IDS)
def test_a_gap_that_was_seen_before_the_oldest_transaction_began_is_decided(present: set[int]) -> None:
    gaps = list(opened(present, 1, 60, NOW))
    assert list(remaining(gaps, [], NOW + timedelta(microseconds=1))) == []


@given(IDS)
def test_runs_are_exactly_the_ids(present: set[int]) -> None:
    found = list(runs(present, NOW))
    assert ids_of(found) == present
    assert all(one.last + 1 < other.first for one, other in pairwise(found))
