"""A sync killed at every statement it sends: a complete earlier version is served, and the next sync is right."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import count

import msgspec

from tests.sync_proof import changes, oracle
from tests.sync_proof.histories import Proof
from tests.sync_proof.killing import Way, sync_killed
from tests.sync_proof.marts import ProofMart
from tests.sync_proof.servers import LEAST_ROWS, Servers

_ROWS = 1_000
_ROWS_OF_LONG_ANSWERS = 30_000
"""More than fits into the buffers between the servers: such a query is killed while it runs."""


def _some_changed(mart: ProofMart) -> None:
    changes.rewritten(mart)
    changes.new_rows(mart)
    changes.vanished(mart)


SCENARIOS: Mapping[str, Callable[[ProofMart], None]] = {
    "unchanged": changes.nothing,
    "changed rows": _some_changed,
    "full": changes.built_again,
    "full, a column added": changes.column_added,
}
"""What happens in ClickHouse before each sync that is killed."""


class Killed(msgspec.Struct, frozen=True):
    """One kind of sync killed in one way."""

    scenario: str
    way: str
    statements: int
    """That such a sync sends, at most."""
    kills: int
    queries: int
    """Those that ClickHouse has killed while they ran."""


def run(servers: Servers, scenario: str, way: Way, seed: int, say: Callable[[str], None], step: int = 1) -> Killed:
    """Kill a sync at its first statement, one at its second, and so on, until one ends by itself. Raises Proof."""
    mart = ProofMart(servers.dbt, f"killed_{seed}", random.Random(seed))
    servers.forget(mart)
    mart.create()
    mart.insert(mart.new_keys(_ROWS_OF_LONG_ANSWERS if way is Way.QUERY else _ROWS))
    servers.sync(mart)
    sent: Sequence[str] = ()
    kills = queries = 0
    for aim in count(1 + seed % step, step):
        before = servers.in_postgres(mart)
        SCENARIOS[scenario](mart)
        statements = sync_killed(servers, mart.mart, LEAST_ROWS, way, aim)
        sent = max(sent, statements.sent, key=len)
        _check(servers, mart, before, f"seed {seed}, {scenario}, {way.value}: {aim}. {statements.sent[-1]}")
        if not statements.is_hit:
            break
        kills += 1
        queries += statements.queries_killed
    servers.forget(mart)
    say(f"  {scenario}, {way.value}: {kills} kills" + (f", {queries} queries" if queries else ""))
    return Killed(scenario, way.value, len(sent), kills, queries)


def _check(servers: Servers, mart: ProofMart, before: oracle.Content, what: str) -> None:
    """All rows are those before, or those of the mart. After one more sync they are the mart's, in one table."""
    wanted, served = servers.in_clickhouse(mart), servers.in_postgres(mart)
    if oracle.difference(before, served) and oracle.difference(wanted, served):
        raise Proof(
            f"{what}: what is served is neither what was ({oracle.difference(before, served)}) "
            f"nor what is ({oracle.difference(wanted, served)})"
        )
    servers.sync(mart)
    if found := oracle.difference(wanted, servers.in_postgres(mart)):
        raise Proof(f"{what}: after the next sync {found}")
    if len(tables := servers.tables(mart.name)) != 1:
        raise Proof(f"{what}: after the next sync {tables} are there")
