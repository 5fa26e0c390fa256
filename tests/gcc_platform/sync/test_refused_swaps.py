"""A swap that would lose what others have made of the served view is refused, with the reason and the way out."""

import re
from collections.abc import Mapping

import psycopg
import pytest

from gcc_platform.resources import postgres
from gcc_platform.sync.views.view import SwapRefused, ViewBusy
from tests.gcc_platform.sync.served import Served

_DEPENDENT = {
    "a materialized view": (
        "CREATE MATERIALIZED VIEW analytics.kept AS SELECT id FROM {view}",
        "materialized view analytics.kept depends on {view}",
    ),
    "a materialized view over a view": (
        "CREATE VIEW analytics.over AS SELECT id FROM {view};"
        "CREATE MATERIALIZED VIEW analytics.kept AS SELECT id FROM analytics.over",
        "materialized view analytics.kept depends on analytics.over",
    ),
    "a function of its rows": (
        "CREATE FUNCTION analytics.f() RETURNS SETOF {view} LANGUAGE sql AS 'SELECT * FROM {view}'",
        "function analytics.f() depends on {view}",
    ),
    "a function with a body of SQL": (
        "CREATE FUNCTION analytics.f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM {view}; END",
        "function analytics.f() depends on {view}",
    ),
    "a rule": (
        "CREATE RULE r AS ON INSERT TO {view} DO INSTEAD NOTHING",
        "rule r on view {view} depends on {view}",
    ),
    "a default": (
        "ALTER VIEW {view} ALTER COLUMN id SET DEFAULT 7",
        "default value for column id of view {view} depends on {view}",
    ),
}


def _over(superuser: psycopg.Connection, select: str) -> None:
    """A view of coffee's, which the sync may create again."""
    superuser.execute(
        f"GRANT SELECT ON ALL TABLES IN SCHEMA serving TO coffee; "
        f"SET ROLE coffee; CREATE VIEW analytics.over AS {select}; RESET ROLE"
    )


@pytest.mark.parametrize("kind", _DEPENDENT)
def test_what_cannot_be_created_again_is_named(
    served: Served, superuser: psycopg.Connection, analysts: str, kind: str
) -> None:
    served.serve("SELECT 1 AS id, 2 AS v, 3 AS gone")
    create, named = _DEPENDENT[kind]
    superuser.execute(create.format(view=served.view))

    with pytest.raises(SwapRefused) as refused:
        served.serve("SELECT 9 AS id, 'text' AS v")

    assert str(refused.value) == (
        f"{served.view} is not replaced, and serves what it served: of its columns v, gone are removed or retyped, "
        f"and {named.format(view=served.view)}. "
        "Drop that object, and create it again when the view has been replaced."
    )
    assert superuser.execute(f"SELECT * FROM {served.view}").fetchall() == [(1, 2, 3)]


@pytest.mark.parametrize("kind", _DEPENDENT)
def test_what_depends_on_a_view_does_not_matter_while_its_columns_stay(
    served: Served, superuser: psycopg.Connection, analysts: str, kind: str
) -> None:
    served.serve("SELECT 1 AS id, 2 AS v")
    superuser.execute(_DEPENDENT[kind][0].format(view=served.view))

    assert served.serve("SELECT 9 AS id, 8 AS v, 7 AS fresh").outcome == "replaced"


def test_a_view_that_reads_a_removed_column_is_named_with_the_column(
    served: Served, superuser: psycopg.Connection, analysts: str
) -> None:
    served.serve("SELECT 1 AS id, 2 AS v, 3 AS gone")
    _over(superuser, f"SELECT id FROM {served.view} WHERE gone > 0")

    with pytest.raises(
        SwapRefused, match=r"of its columns gone are removed or retyped, and analytics\.over reads gone\."
    ):
        served.serve("SELECT 9 AS id, 2 AS v")

    assert superuser.execute("SELECT * FROM analytics.over").fetchall() == [(1,)]


def test_a_view_that_a_new_type_makes_invalid_is_named_with_postgresqls_reason(
    served: Served, superuser: psycopg.Connection, analysts: str
) -> None:
    served.serve("SELECT 1 AS id, 2 AS v")
    _over(superuser, f"SELECT id FROM {served.view} WHERE v > 0")

    with pytest.raises(SwapRefused) as refused:
        served.serve("SELECT 9 AS id, now() AS v")

    assert "analytics.over cannot be created again with the new columns: operator does not exist" in str(refused.value)
    assert "Change or drop analytics.over first." in str(refused.value)
    assert superuser.execute("SELECT * FROM analytics.over").fetchall() == [(1,)]


def test_the_grant_that_lets_the_sync_act_as_a_views_owner_is_the_way_out(
    served: Served, superuser: psycopg.Connection, analysts: str
) -> None:
    served.serve("SELECT 1 AS id, 2 AS v")
    superuser.execute(f"GRANT CREATE, USAGE ON SCHEMA analytics TO tea; GRANT SELECT ON {served.view} TO tea")
    superuser.execute(f"SET ROLE tea; CREATE VIEW analytics.teas AS SELECT id FROM {served.view}; RESET ROLE")

    with pytest.raises(SwapRefused, match=r"analytics\.teas must be created again as tea") as refused:
        served.serve("SELECT 9 AS id")
    [grant] = re.findall(r"GRANT [^.]*", str(refused.value))
    superuser.execute(grant)

    assert served.serve("SELECT 9 AS id").outcome == "recreated"
    assert superuser.execute("SELECT * FROM analytics.teas").fetchall() == [(9,)]


def test_a_superusers_view_should_get_another_owner(
    served: Served, superuser: psycopg.Connection, analysts: str
) -> None:
    served.serve("SELECT 1 AS id, 2 AS v")
    superuser.execute(f"CREATE VIEW analytics.supers AS SELECT id FROM {served.view}")

    with pytest.raises(SwapRefused, match=r"ALTER VIEW analytics\.supers OWNER TO a role that sync may act as"):
        served.serve("SELECT 9 AS id")


def test_a_table_in_the_views_place_is_not_touched(served: Served, target: psycopg.Connection) -> None:
    target.execute(f"CREATE TABLE {served.view} AS SELECT 5 AS id")
    try:
        with pytest.raises(SwapRefused, match="it is not a view"):
            served.serve("SELECT 1 AS id")
        assert target.execute(f"SELECT id FROM {served.view}").fetchall() == [(5,)]
    finally:
        target.execute(f"DROP TABLE {served.view}")


def test_a_reader_of_a_view_over_it_makes_the_swap_give_up_and_everything_stays(
    stack: Mapping[str, str], served: Served, superuser: psycopg.Connection, analysts: str
) -> None:
    served.serve("SELECT 1 AS id, 2 AS v")
    _over(superuser, f"SELECT id FROM {served.view}")
    superuser.execute("GRANT USAGE ON SCHEMA analytics TO sync; GRANT SELECT ON analytics.over TO sync")

    with postgres.connect(stack["POSTGRES_URL"], "reader") as reader, reader.transaction():
        reader.execute("SELECT * FROM analytics.over")
        with pytest.raises(ViewBusy, match="locked at each of 3 attempts"):
            served.serve("SELECT 9 AS id")
        locks = superuser.execute("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'").fetchone()
        assert locks == (0,)
        assert reader.execute("SELECT * FROM analytics.over").fetchall() == [(1,)]
