"""Changes that neither inserts nor counts show: the next sync that reports success serves them all the same."""

import random
import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.harness.running import eventually
from tests.sync_proof import by_hand, changes, oracle
from tests.sync_proof.killing import Way, sync_killed
from tests.sync_proof.marts import GRAIN, ProofMart
from tests.sync_proof.servers import LEAST_ROWS, Servers

_ROWS = 600


@pytest.fixture
def mart(servers: Servers) -> Iterator[ProofMart]:
    """A mart that is synced."""
    made = ProofMart(servers.dbt, "proof_unusual", random.Random(7))
    servers.forget(made)
    made.create()
    made.insert(made.new_keys(_ROWS))
    servers.sync(made)
    yield made
    servers.forget(made)


def differences(servers: Servers, mart: ProofMart) -> oracle.Difference:
    return oracle.difference(servers.in_clickhouse(mart), servers.in_postgres(mart))


def test_a_mutation_that_was_still_running_at_the_last_sync(servers: Servers, mart: ProofMart) -> None:
    slow = "views = 77 + toInt64(sleepEachRow(0.01))"
    mart.run(f"ALTER TABLE {mart.table} UPDATE {slow} WHERE 1", mutations_sync=0, allow_nondeterministic_mutations=1)
    servers.sync(mart)
    unfinished = f"SELECT count() FROM system.mutations WHERE table = '{mart.name}' AND NOT is_done"
    assert mart.count(unfinished) == 1, "it was done before the sync: nothing is tested"
    eventually(lambda: mart.count(unfinished) == 0, 60, "the mutation is done")
    servers.sync(mart)
    assert not differences(servers, mart)


def test_a_lightweight_update(servers: Servers, mart: ProofMart) -> None:
    mart.run(f"UPDATE {mart.table} SET views = 77 WHERE cityHash64(profile_id) % 2 = 0")
    servers.sync(mart)
    assert not differences(servers, mart)


def test_a_lightweight_update_of_rows_inserted_since(servers: Servers, mart: ProofMart) -> None:
    changes.new_rows(mart)
    mart.run(f"UPDATE {mart.table} SET views = 77 WHERE cityHash64(profile_id) % 2 = 0")
    servers.sync(mart)
    assert not differences(servers, mart)


def test_a_cleared_column(servers: Servers, mart: ProofMart) -> None:
    week = changes.week_of(mart.all_keys()[0][2])
    mart.run(f"ALTER TABLE {mart.table} CLEAR COLUMN amount IN PARTITION ID '{week}'", mutations_sync=2)
    servers.sync(mart)
    assert not differences(servers, mart)


def test_another_default_of_a_column_that_old_rows_do_not_have(servers: Servers, mart: ProofMart) -> None:
    mart.run(f"ALTER TABLE {mart.table} ADD COLUMN extra Int64 DEFAULT 1")
    servers.sync(mart)
    mart.run(f"ALTER TABLE {mart.table} MODIFY COLUMN extra Int64 DEFAULT 2", alter_sync=2)
    servers.sync(mart)
    assert not differences(servers, mart)


@pytest.mark.parametrize("is_merged", [False, True])
def test_a_replaced_partition(servers: Servers, mart: ProofMart, is_merged: bool) -> None:
    other = ProofMart(servers.dbt, f"{mart.name}_other", random.Random(3))
    other.drop()
    other.create()
    mart.run(f"INSERT INTO {other.table} SELECT * REPLACE (1234 AS views) FROM {mart.table}")
    if is_merged:
        changes.rewritten(other)
        changes.merged(other)
    for week in {changes.week_of(key[2]) for key in mart.all_keys()}:
        mart.run(f"ALTER TABLE {mart.table} REPLACE PARTITION ID '{week}' FROM {other.table}")
    servers.sync(mart)
    other.drop()
    assert not differences(servers, mart)


def test_a_table_truncated_by_hand_in_postgresql(servers: Servers, mart: ProofMart) -> None:
    servers.sync(mart)
    servers.superuser.execute(sql.SQL("TRUNCATE {}").format(by_hand.table_of(servers.superuser, mart.name)))
    outcome = servers.sync(mart)
    assert not differences(servers, mart)
    assert outcome.found


def test_a_full_copy_killed_before_it_is_served_leaves_no_table_after_the_next_sync(
    servers: Servers, mart: ProofMart
) -> None:
    sent = sync_killed(servers, mart.mart, LEAST_ROWS, Way.PROCESS_BEFORE, 0, full=True).sent
    committed = sent.index("COMMIT", sent.index("the end of COPY"))
    sync_killed(servers, mart.mart, LEAST_ROWS, Way.PROCESS_BEFORE, committed + 2, full=True)
    assert len(servers.tables(mart.name)) == 2
    servers.sync(mart)
    assert len(servers.tables(mart.name)) == 1


def test_rows_inserted_while_syncs_run_are_all_served_by_the_next_sync(servers: Servers, mart: ProofMart) -> None:
    stop = threading.Event()
    with pytest.MonkeyPatch.context():
        writer = threading.Thread(target=_write, args=(servers, mart, stop))
        writer.start()
        for _ in range(4):
            try:
                servers.sync(mart)
            except Exception as error:  # noqa: BLE001  a mart that changes meanwhile may be refused, and is not damaged
                print(f"refused: {error}")
        stop.set()
        writer.join()
    servers.sync(mart)
    assert not differences(servers, mart)


def _write(servers: Servers, mart: ProofMart, stop: threading.Event) -> None:
    import clickhouse_connect

    with clickhouse_connect.get_client(dsn=servers.environment["GCC_DBT_CLICKHOUSE_URL"]) as client:
        own = ProofMart(client, mart.name, random.Random(4))
        while not stop.is_set():
            changes.rewritten(own)
            changes.new_rows(own)
            changes.vanished(own)


def test_a_key_twice_is_named_and_what_was_served_stays(servers: Servers, mart: ProofMart) -> None:
    before = servers.in_postgres(mart)
    mart.insert(mart.all_keys()[:1])
    with pytest.raises(Exception, match="does not make a row unique"):
        servers.sync(mart)
    assert servers.in_postgres(mart) == before


def test_an_update_by_hand_in_a_transaction_older_than_a_sync(servers: Servers, mart: ProofMart) -> None:
    """It has a lower number than the sync's, and commits after it."""
    table = by_hand.table_of(servers.superuser, mart.name)
    with psycopg.connect(servers.superuser_url) as hand:
        hand.execute(sql.SQL("UPDATE {} SET views = 77 WHERE platform = 'YOUTUBE'").format(table))
        changes.new_rows(mart)
        servers.sync(mart)
        hand.commit()
        hand.execute("SELECT pg_stat_force_next_flush()")
        hand.commit()
    for _ in range(24):
        servers.sync(mart)
    assert not differences(servers, mart)


def test_the_sync_after_one_that_was_killed_in_its_upsert_shows_no_mixture_and_reports_nothing(
    servers: Servers, mart: ProofMart
) -> None:
    changes.rewritten(mart)
    aim = _place_after_upsert(servers, mart)
    before = servers.in_postgres(mart)
    sync_killed(servers, mart.mart, LEAST_ROWS, Way.PROCESS_AFTER, aim)
    assert not oracle.difference(before, servers.in_postgres(mart))
    changes.rewritten(mart)
    seen: list[oracle.Content] = []
    stop = threading.Event()
    reader = threading.Thread(target=_read, args=(servers, mart, stop, seen))
    reader.start()
    outcome = servers.sync(mart)
    stop.set()
    reader.join()
    wanted = servers.in_clickhouse(mart)
    mixtures = [each for each in seen if oracle.difference(before, each) and oracle.difference(wanted, each)]
    assert not mixtures, f"{len(mixtures)} of {len(seen)} reads, e.g. {oracle.difference(wanted, mixtures[0])}"
    assert outcome.found == ()


def _place_after_upsert(servers: Servers, mart: ProofMart) -> int:
    """The number of the statement after the upsert, in a sync like the next one."""
    sent = sync_killed(servers, mart.mart, LEAST_ROWS, Way.PROCESS_BEFORE, 0).sent
    changes.rewritten(mart)
    return next(number for number, label in enumerate(sent, 1) if label.startswith("WITH upserted")) + 1


def _read(servers: Servers, mart: ProofMart, stop: threading.Event, seen: list[oracle.Content]) -> None:
    with psycopg.connect(servers.superuser_url, autocommit=True) as connection:
        while not stop.is_set():
            seen.append(oracle.in_postgres(connection, mart.name, GRAIN))


def test_a_change_by_hand_is_still_found_after_the_sync_that_noticed_it_was_killed(
    servers: Servers, mart: ProofMart
) -> None:
    _update_by_hand(servers, mart, 1)
    sent = sync_killed(servers, mart.mart, LEAST_ROWS, Way.PROCESS_BEFORE, 0).sent
    for place in [number for number, label in enumerate(sent, 1) if label.startswith("UPDATE serving_data.syncs")]:
        _update_by_hand(servers, mart, place + 1)
        sync_killed(servers, mart.mart, LEAST_ROWS, Way.PROCESS_AFTER, place)
        servers.sync(mart)
        assert not differences(servers, mart), f"killed after {place}. {sent[place - 1]}"


def _update_by_hand(servers: Servers, mart: ProofMart, value: int) -> None:
    table = by_hand.table_of(servers.superuser, mart.name)
    servers.superuser.execute(sql.SQL("UPDATE {} SET views = {} WHERE platform = 'YOUTUBE'").format(table, value))
    servers.superuser.execute("SELECT pg_stat_force_next_flush()")
