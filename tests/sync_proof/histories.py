"""Random histories of a mart: after each sync that reports success, PostgreSQL serves what ClickHouse has."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tests.harness.syncs import Outcome
from tests.sync_proof import by_hand, changes, oracle
from tests.sync_proof.marts import GRAIN, ProofMart
from tests.sync_proof.servers import Servers

_ROWS = 1_200
_BY_HAND = 0.12
"""The share of steps before which somebody writes to PostgreSQL."""
SYNCS_TO_HEAL = 24


class Proof(AssertionError):
    """What is served is not what the mart has, or a sync says that it found what was not there."""


class History(msgspec.Struct, frozen=True):
    """One history."""

    seed: int
    syncs: int
    modes: dict[str, int]
    changes: dict[str, int]
    by_hand: int
    """Times that somebody wrote to PostgreSQL."""
    most_syncs_to_heal: int
    """After which all of these writes were gone."""


@dataclass
class _Running:
    """A history while it runs."""

    servers: Servers
    mart: ProofMart
    modes: Counter[str]
    made: Counter[str]
    hands: int = 0
    most: int = 0


def run(servers: Servers, seed: int, syncs: int, say: Callable[[str], None]) -> History:
    """Make changes and sync, again and again. Raises Proof with the seed and what was done before."""
    chance = random.Random(seed)
    mart = ProofMart(servers.dbt, f"proof_{seed}", chance, is_numbered=chance.random() < 0.85)
    servers.forget(mart)
    mart.create()
    mart.insert(mart.new_keys(_ROWS))
    running = _Running(servers, mart, Counter(), Counter())
    done: list[str] = []
    try:
        _synced(running, done)
        while running.modes.total() < syncs:
            _step(running, done)
    except AssertionError as error:
        raise Proof(f"seed {seed}, after {'; '.join(done[-8:])}: {error}") from error
    servers.forget(mart)
    found = History(seed, running.modes.total(), dict(running.modes), dict(running.made), running.hands, running.most)
    say(f"  seed {seed}: {found.syncs} syncs, {found.modes}, {running.hands} times written by hand")
    return found


def _step(running: _Running, done: list[str]) -> None:
    made = changes.make(running.mart)
    running.made.update(made)
    done.extend(made)
    if running.mart.chance.random() < _BY_HAND:
        _written_by_hand(running, done)
    else:
        _synced(running, done)


def _synced(running: _Running, done: list[str]) -> Outcome:
    outcome = running.servers.sync(running.mart)
    running.modes[outcome.mode] += 1
    done.append(f"[{outcome.mode}: {outcome.reason}]")
    if found := _difference(running):
        raise Proof(f"a sync in mode {outcome.mode} ({outcome.reason}) reports success, but {found}")
    if outcome.found:
        raise Proof(f"the sync found what nobody did: {outcome.found}")
    if len(tables := running.servers.tables(running.mart.name)) != 1:
        raise Proof(f"{tables} are there after a sync")
    return outcome


def _written_by_hand(running: _Running, done: list[str]) -> None:
    """All of it is gone after some syncs; in the first one if the mart is copied."""
    servers, mart = running.servers, running.mart
    keys = by_hand.change(servers.superuser, mart.name, GRAIN, mart.chance, mart.chance.randint(1, 20), "views")
    done.append(f"{len(keys)} rows by hand")
    running.hands += 1
    for number in range(1, SYNCS_TO_HEAL + 1):
        outcome = servers.sync(mart)
        running.modes[outcome.mode] += 1
        done.append(f"[{outcome.mode}: {outcome.reason}]")
        if not _difference(running):
            running.most = max(running.most, number)
            return
    raise Proof(f"after {SYNCS_TO_HEAL} syncs what somebody wrote is still served: {_difference(running)}")


def _difference(running: _Running) -> oracle.Difference:
    servers, mart = running.servers, running.mart
    return oracle.difference(servers.in_clickhouse(mart), servers.in_postgres(mart))
