"""Changes by hand in PostgreSQL, over a large and some small marts: in which refresh each is seen, named and gone."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from tests.harness import syncs
from tests.sync_proof import by_hand, oracle
from tests.sync_proof.by_hand import Key
from tests.sync_proof.servers import LEAST_ROWS, Servers
from tests.sync_proof.simple_mart import GRAIN, SimpleMart

REFRESHES = 24
_SMALL_MARTS = 2


class Gone(msgspec.Struct, frozen=True):
    """The changes in one mart."""

    rows: int
    changes: int
    touched: int
    """Of them in rows that the next refresh of the warehouse touches."""
    touched_left: int
    """Of those, still there after that refresh."""
    gone_after: int
    """Refreshes after which all are; 0 if not all are after 24."""
    seen_after: int
    """Refreshes after which a check has reported something; 0 if none has."""
    named: int
    """Keys of changes among those that the checks have named."""
    misnamed: int
    """Descriptions that name no key of a change."""

    @property
    def is_healed(self) -> bool:
        """Whether all is as it should be."""
        return bool(self.gone_after and self.seen_after and self.named) and not self.touched_left and not self.misnamed


def run(servers: Servers, seed: int, changes: int, large: int, small: int, say: Callable[[str], None]) -> list[Gone]:
    """Plant them, half of them in the large mart, and refresh until they are gone."""
    chance = random.Random(seed)
    sizes = [large, *[small] * _SMALL_MARTS]
    counts = [changes // 2, *[changes // 2 // _SMALL_MARTS] * _SMALL_MARTS]
    found = []
    for number, (rows, count) in enumerate(zip(sizes, counts, strict=True)):
        mart = SimpleMart(servers.dbt, f"proof_planted_{number}", chance)
        servers.forget_served(mart.name)
        mart.create(rows)
        _sync(servers, mart)
        gone = _planted(servers, mart, rows, count)
        found.append(gone)
        mart.drop()
        servers.forget_served(mart.name)
        say(
            f"  {gone.changes} changes by hand in {rows:,} rows: reported after {gone.seen_after} refreshes, "
            f"gone after {gone.gone_after}; of {gone.touched} in touched rows {gone.touched_left} were left after one; "
            f"{gone.named} named"
        )
    return found


@dataclass
class _Reports:
    """What the checks have said."""

    first: int = 0
    texts: Sequence[str] = ()

    def add(self, number: int, found: Sequence[str]) -> None:
        if found and not self.first:
            self.first = number
        self.texts = [*self.texts, *found]

    def named(self, keys: Sequence[Key]) -> int:
        return sum(any(_text(key) in text for text in self.texts) for key in keys)

    def misnamed(self, keys: Sequence[Key]) -> int:
        return sum(not any(_text(key) in text for key in keys) for text in self.texts)


def _planted(servers: Servers, mart: SimpleMart, rows: int, count: int) -> Gone:
    keys = by_hand.change(servers.superuser, mart.name, GRAIN, mart.chance, count, "v")
    present = [int(key[1]) for key in keys if key[1].isdigit()]
    touched = mart.chance.sample(present, len(present) // 5)
    mart.rewrite(touched)
    reports, left = _Reports(), len(touched)
    for number in range(1, REFRESHES + 1):
        reports.add(number, _sync(servers, mart).found)
        wrong = _wrong(servers, mart)
        if number == 1:
            left = len({str(each) for each in touched} & {key[1] for key in wrong})
        if not wrong:
            return _gone(rows, keys, touched, left, number, reports)
        mart.rewrite(mart.chance.sample(range(rows), 20))
    return _gone(rows, keys, touched, left, 0, reports)


def _gone(rows: int, keys: Sequence[Key], touched: Sequence[int], left: int, after: int, reports: _Reports) -> Gone:
    return Gone(rows, len(keys), len(touched), left, after, reports.first, reports.named(keys), reports.misnamed(keys))


def _sync(servers: Servers, mart: SimpleMart) -> syncs.Outcome:
    return syncs.run(servers.source, servers.target, mart.mart, least_rows=LEAST_ROWS)


def _wrong(servers: Servers, mart: SimpleMart) -> set[Key]:
    found = oracle.difference(
        oracle.in_clickhouse(servers.dbt, mart.table, GRAIN), oracle.in_postgres(servers.target, mart.name, GRAIN)
    )
    return {*found.missing, *found.added, *found.changed}


def _text(key: Key) -> str:
    """As a check writes a key."""
    return ", ".join(map(str, key))
