"""The ids that the tail has passed and not taken: each is looked for again until it is decided.

No row had such an id; or its row was not final, in a table whose rows are updated.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Gap:
    """Ids from first to last that were not taken at a time, by the old database's clock."""

    first: int
    last: int
    seen_at: datetime


def opened(present: Iterable[int], first: int, last: int, seen_at: datetime) -> Iterator[Gap]:
    """The gaps between first and last."""
    expected = first
    for each in sorted(present):
        if first <= each <= last:
            if each > expected:
                yield Gap(expected, each - 1, seen_at)
            expected = each + 1
    if expected <= last:
        yield Gap(expected, last, seen_at)


def remaining(gaps: Iterable[Gap], present: Sequence[int], horizon: datetime) -> Iterator[Gap]:
    """The gaps that stay after some of their ids were found.

    A gap that was seen before the horizon is decided: the transactions that could hold its ids have ended, so a row
    is there or will never be. `horizon` has to be older than the snapshot in which the ids were found.
    """
    for gap in gaps:
        if gap.seen_at >= horizon:
            yield from opened(present, gap.first, gap.last, gap.seen_at)


def runs(ids: Iterable[int], seen_at: datetime) -> Iterator[Gap]:
    """Gaps of exactly these ids."""
    first = last = None
    for each in sorted(ids):
        if first is not None and last is not None and each != last + 1:
            yield Gap(first, last, seen_at)
            first = None
        first, last = each if first is None else first, each
    if first is not None and last is not None:
        yield Gap(first, last, seen_at)
