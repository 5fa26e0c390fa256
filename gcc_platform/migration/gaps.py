"""The ids that the tail has passed without finding a row: each is looked for again until it is decided."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Gap:
    """Ids from first to last that no row had at a time, by the old database's clock."""

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
