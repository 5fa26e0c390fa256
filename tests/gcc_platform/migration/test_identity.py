"""Old rows have event_ids that are made of their table and id, the same in Python, PostgreSQL and ClickHouse."""

from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcc_platform.migration.identity import MOST_DATABASE, MOST_ID, Origin, origin, prefix
from gcc_platform.migration.legacy_table import Database
from gcc_platform.migration.legacy_tables import LEGACY_TABLES

ORIGINS = st.builds(Origin, st.integers(0, 2**16 - 1), st.integers(0, MOST_DATABASE), st.integers(0, MOST_ID))


@given(ORIGINS)
def test_an_event_id_says_where_it_was_made(made: Origin) -> None:
    event_id = made.event_id()
    assert origin(event_id) == made
    assert event_id.version == 8
    assert str(event_id) == prefix(made.table, made.database) + f"{made.id:012x}"


@given(st.uuids(version=4))
def test_an_event_id_of_a_crawler_was_not_made(event_id: UUID) -> None:
    assert origin(event_id) is None


def test_a_random_event_id_that_begins_like_a_made_one_was_not_made() -> None:
    assert origin(UUID("67636300" + str(uuid4())[8:])) is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Origin(1, 0, MOST_ID + 1).event_id()


def test_the_numbers_of_the_tables_differ() -> None:
    assert len({table.number for table in LEGACY_TABLES.values()}) == len(LEGACY_TABLES)


def test_postgresql_makes_the_same_event_id(old: psycopg.Connection) -> None:
    old.execute(
        "INSERT INTO order_log (id, platform, platform_order_id, store, timestamp) "
        "VALUES (281474976710655, 'S', 'o', 's', '2026-01-01')"
    )
    table = LEGACY_TABLES["order_log"]
    made = old.execute(table.events_sql(Database(number=77), "true", has_event_id=False).encode()).fetchone()
    assert made is not None
    assert made[1] == Origin(table.number, 77, 2**48 - 1).event_id()
