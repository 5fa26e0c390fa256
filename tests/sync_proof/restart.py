"""ClickHouse restarted after a table was emptied: its block numbers begin again, below those that a sync has seen."""

import random
from collections.abc import Callable

from tests.harness.running import eventually
from tests.sync_proof import oracle
from tests.sync_proof.marts import ProofMart
from tests.sync_proof.servers import Servers

_ROWS = 400


def run(servers: Servers, restart: Callable[[], None], seed: int, inserts: int, say: Callable[[str], None]) -> int:
    """Empty a mart, restart, and insert so often as many rows as it had. The rows that the next sync serves wrongly."""
    mart = ProofMart(servers.dbt, f"proof_restart_{seed}", random.Random(seed))
    servers.forget(mart)
    mart.create()
    mart.run(f"ALTER TABLE {mart.table} MODIFY SETTING old_parts_lifetime = 1")
    mart.insert(mart.new_keys(_ROWS))
    servers.sync(mart)
    mart.run(f"TRUNCATE TABLE {mart.table}")
    parts = f"SELECT count() FROM system.parts WHERE table = '{mart.name}'"
    eventually(lambda: mart.count(parts) == 0, 300, "the old parts are gone")
    restart()
    keys = mart.new_keys(_ROWS)
    for number in range(inserts):
        mart.insert(keys[number::inserts])
    servers.sync(mart)
    wrong = oracle.difference(servers.in_clickhouse(mart), servers.in_postgres(mart))
    servers.forget(mart)
    count = len(wrong.missing) + len(wrong.added) + len(wrong.changed)
    say(f"  ClickHouse restarted after TRUNCATE, {inserts} inserts: {count} rows wrong")
    return count
