"""An account against a model of a queue, seen through statistics that are late, each by a time of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gcc_platform.watch.account import REPORT_SECONDS, Account, Counts

LOOK_SECONDS = 15.0
RESTS = 9
"""Looks without movement: three until 30 s have passed, three to find a part, three to find the rest."""


@dataclass(frozen=True)
class Step:
    """What happens between two looks, and which of the broker's statistics the second one sees late."""

    published: int
    left: int
    """Messages that leave the queue, at most those that wait."""
    dead_letters: int
    lost: int
    repeated: int
    """Messages that land a second time."""
    late_confirms: bool
    late_depth: bool


NOTHING = Step(0, 0, 0, 0, 0, late_confirms=False, late_depth=False)


def steps(*, lost: st.SearchStrategy[int], repeated: st.SearchStrategy[int]) -> st.SearchStrategy[list[Step]]:
    few = st.integers(0, 50)
    return st.lists(st.builds(Step, few, few, st.integers(0, 5), lost, repeated, st.booleans(), st.booleans()))


@dataclass
class Queue:
    """A queue with its account, of which a look is taken after each step."""

    waiting: int = 7
    confirmed: int = 100
    landed: int = 60
    dead_letters: int = 3
    lost: int = 0
    now: float = 1_000.0
    found: int = 0
    """Messages that the account has found missing at any time."""
    _before: Counts = field(init=False)
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self._before = self._counts()
        self.account = Account(self._before, lambda: self.now)

    def _counts(self) -> Counts:
        return Counts(self.confirmed, self.waiting, self.landed, self.dead_letters)

    def step(self, step: Step) -> None:
        self.confirmed += step.published
        self.waiting += step.published
        left = min(step.left, self.waiting)
        self.waiting -= left
        lost = min(step.lost, left)
        letters = min(step.dead_letters, left - lost)
        self.lost += lost
        self.dead_letters += letters
        self.landed += left - lost - letters + step.repeated
        seen, before = self._counts(), self._before
        self._before = seen
        confirms, depth = (before if step.late_confirms else seen), (before if step.late_depth else seen)
        self.now += LOOK_SECONDS
        self.account.add(Counts(confirms.confirmed, depth.waiting, seen.landed, confirms.dead_letters))
        self.found = max(self.found, self.account.missing)

    def go(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.step(step)

    def rest(self) -> None:
        self.go([NOTHING] * RESTS)


@given(steps(lost=st.just(0), repeated=st.integers(0, 9)))
def test_while_nothing_is_lost_nothing_is_found_missing_however_late_the_statistics_are(history: list[Step]) -> None:
    queue = Queue()
    queue.go(history)
    queue.rest()
    assert queue.found == 0


@given(
    steps(lost=st.just(0), repeated=st.integers(0, 9)),
    steps(lost=st.integers(0, 9), repeated=st.just(0)),
)
def test_what_is_lost_is_found_exactly_once_the_queue_is_at_rest(before: list[Step], history: list[Step]) -> None:
    queue = Queue()
    queue.go(before)
    queue.rest()
    queue.go(history)
    queue.rest()
    assert queue.found == queue.lost


def test_while_messages_flow_a_loss_that_is_larger_than_what_flows_is_found_within_two_minutes() -> None:
    queue = Queue()
    queue.rest()
    flow = Step(50, 50, 1, 0, 0, late_confirms=True, late_depth=False)
    queue.go([flow] * 8)
    queue.step(Step(2_000, 2_000, 0, 1_000, 0, late_confirms=False, late_depth=False))
    queue.go([flow] * 7)
    assert 500 < queue.found <= 1_000


def test_who_takes_a_third_of_what_flows_is_found_within_three_minutes() -> None:
    queue = Queue()
    flow = Step(450, 450, 1, 0, 0, late_confirms=True, late_depth=True)
    queue.go([flow] * 8)  # from the first look on: it has had no rest
    queue.go([Step(450, 450, 0, 150, 0, late_confirms=True, late_depth=True)] * 12)
    assert 0 < queue.found <= queue.lost


def test_a_loss_is_reported_for_an_hour() -> None:
    queue = Queue()
    queue.rest()
    queue.step(Step(10, 10, 0, 4, 0, late_confirms=False, late_depth=False))
    queue.rest()
    assert queue.account.missing == 4
    queue.now += REPORT_SECONDS
    queue.step(NOTHING)
    assert queue.account.missing == 0


def test_a_restarted_broker_counts_from_zero_and_opens_the_account_anew() -> None:
    queue = Queue()
    queue.rest()
    queue.confirmed, queue.dead_letters = 0, 0
    queue.rest()
    queue.step(Step(10, 10, 0, 4, 0, late_confirms=False, late_depth=False))
    queue.rest()
    assert queue.account.opening.confirmed == 0
    assert queue.found == 4
