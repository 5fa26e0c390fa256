"""Faults, one after the other and several at once, while confirmed publishers publish: nothing is lost.

`make chaos` runs the full form: GCC_CHAOS_SECONDS of random faults. `make test` has each fault once.
"""

import logging
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields

import pytest

from tests.chaos import report
from tests.chaos.accounting import Account, Accounting, drained
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.field import Field, opened
from tests.chaos.publishing import TYPES, Publishing
from tests.harness.running import eventually

SEED = int(os.environ.get("GCC_CHAOS_SEED", str(random.randrange(2**32))))
SECONDS = float(os.environ.get("GCC_CHAOS_SECONDS", "0"))

_TO_PUBLISH = 200
"""So many messages at least go through each fault."""

NOTHING = Account(*[0] * len(fields(Account)))


class War:
    """A field under fire."""

    def __init__(self, field: Field, publishing: Publishing) -> None:
        self.field = field
        self._publishing = publishing
        self._accounting = Accounting(field, publishing)
        self._last = NOTHING

    def wage(self, faults: Sequence[Fault], seconds: float) -> None:
        """Strike while messages flow, heal, drain, and account for every message."""
        began, sent = time.monotonic(), len(self._publishing.published)
        self._publishing.go()
        if len(faults) == 1:
            self._strike_and_notice(faults[0])
        else:
            for fault in faults:
                fault.strike(self.field)
        time.sleep(seconds)  # what a fault does, it does in time
        for fault in reversed(faults):
            fault.heal(self.field)
        eventually(lambda: len(self._publishing.published) > sent + _TO_PUBLISH, 60, "messages flow again")
        self._publishing.rest()
        drained(self.field)
        found, before = self._accounting.account(), self._last
        self._last = found
        names = " + ".join(fault.name for fault in faults)
        print(report.row(names, len(faults), before, found, time.monotonic() - began), flush=True)
        never = ["lost", "duplicated", "letters_doubled", "wrong", "ledger_gap"]
        if not any(fault.redelivers for fault in faults):
            never.append("letters_unnamed")
        changed = {name: getattr(found, name) - getattr(before, name) for name in never}
        assert set(changed.values()) == {0}, f"seed {SEED}: {changed}"
        assert found.confirmed > before.confirmed

    def _strike_and_notice(self, fault: Fault) -> None:
        """Alone: several at once hide each other, and the service may not be there to be asked."""
        noticed = self._retries(fault) if fault.noticed_as else 0
        fault.strike(self.field)
        if fault.noticed_as:
            eventually(lambda: self._retries(fault) > noticed, 30, f"noticed as {fault.noticed_as}")
        if (seen := fault.seen) is not None:
            eventually(lambda: seen(self.field), 30, "seen")

    def _retries(self, fault: Fault) -> int:
        assert fault.noticed_as is not None
        return sum(self.field.service.status(name)["retries"].get(fault.noticed_as, 0) for name in TYPES)


@pytest.fixture(scope="module")
def war(tmp_path_factory: pytest.TempPathFactory) -> Iterator[War]:
    print(f"\nseed {SEED}\n{report.HEADER}")
    logging.getLogger("aiormq").setLevel(logging.CRITICAL + 1)  # a broker that is away is what this is about
    with (
        opened(tmp_path_factory.mktemp("chaos"), own_disk=True) as field,
        Publishing(field.environment["AMQP_URL"], SEED) as publishing,
    ):
        yield War(field, publishing)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_confirmed_message_lands_or_is_dead_lettered_once_through(war: War, fault: Fault) -> None:
    if why := fault.unless(war.field):
        pytest.skip(why)
    war.wage([fault], fault.seconds)


@pytest.mark.skipif(not SECONDS, reason="the full form is `make chaos`")
def test_every_confirmed_message_lands_or_is_dead_lettered_once_through_random_faults_at_once(war: War) -> None:
    chance, until = random.Random(SEED), time.monotonic() + SECONDS
    possible = [fault for fault in FAULTS if not fault.unless(war.field)]
    while time.monotonic() < until:
        war.wage(_some(possible, chance), chance.uniform(0.2, 8))


def _some(possible: Sequence[Fault], chance: random.Random) -> Sequence[Fault]:
    """One to three faults of different targets."""
    faults: dict[str, Fault] = {}
    for fault in chance.sample(possible, k=chance.randint(1, 3)):
        faults.setdefault(fault.target, fault)
    return list(faults.values())
