"""A swap keeps what others have made of the served view, whatever happens to its columns."""

import psycopg
import pytest

from gcc_platform.sync import versions
from tests.gcc_platform.sync.served import Served, state

_OF_OTHERS = """
GRANT SELECT ON serving.{mart} TO coffee WITH GRANT OPTION;
GRANT SELECT (id), UPDATE (id) ON serving.{mart} TO tea;
GRANT SELECT ON serving.{mart} TO PUBLIC;
REVOKE SELECT ON serving.{mart} FROM dbt;
COMMENT ON VIEW serving.{mart} IS 'it''s the mart';
COMMENT ON COLUMN serving.{mart}.id IS 'the "id"';
ALTER VIEW serving.{mart} SET (security_barrier = true);
SET ROLE coffee;
GRANT SELECT ON serving.{mart} TO tea;
CREATE VIEW analytics."Over" WITH (security_invoker = true, check_option = cascaded) AS
    SELECT id, v FROM serving.{mart} WHERE v IS NOT NULL;
CREATE VIEW analytics.above AS SELECT a.id, b.v FROM analytics."Over" AS a JOIN serving.{mart} AS b USING (id);
COMMENT ON VIEW analytics."Over" IS 'over';
COMMENT ON COLUMN analytics.above.v IS 'a column of above';
GRANT SELECT ON analytics."Over" TO tea WITH GRANT OPTION;
GRANT SELECT (id) ON analytics.above TO tea WITH GRANT OPTION;
RESET ROLE
"""
_VIEWS = ('analytics."Over"', "analytics.above")


@pytest.fixture
def mart(served: Served, superuser: psycopg.Connection, analysts: str) -> Served:
    """A served mart, and what coffee and tea have made of it."""
    served.serve("SELECT 1::bigint AS id, 2::bigint AS v, 'x' AS gone")
    superuser.execute(_OF_OTHERS.format(mart=served.name))
    return served


_CHANGES = {
    "no column": ("SELECT 1::bigint AS id, 3::bigint AS v, 'x' AS gone", "replaced"),
    "a column is added": ("SELECT 'new' AS fresh, 1::bigint AS id, 3::bigint AS v, 'x' AS gone", "replaced"),
    "a column is removed": ("SELECT 1::bigint AS id, 3::bigint AS v", "recreated"),
    "a column is retyped": ("SELECT 1::bigint AS id, 3.0::numeric AS v, 'x' AS gone", "recreated"),
    "all at once": ("SELECT 'new' AS fresh, 1::bigint AS id, 3.0::numeric AS v", "recreated"),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_views_grants_comments_and_options_are_there_after_a_swap(
    mart: Served, superuser: psycopg.Connection, change: str
) -> None:
    before = {view: state(superuser, view) for view in (mart.view, *_VIEWS)}
    select, outcome = _CHANGES[change]

    swapped = mart.serve(select)

    assert (swapped.outcome, swapped.attempts) == (outcome, 1)
    after = {view: state(superuser, view) for view in (mart.view, *_VIEWS)}
    for found in (before, after):
        del found[mart.view]["query"]
    assert after == before
    assert superuser.execute("SELECT * FROM analytics.above").fetchall() == [(1, 3)]


def test_grants_and_comments_of_a_removed_column_end_and_those_of_a_retyped_one_stay(
    served: Served, superuser: psycopg.Connection, analysts: str
) -> None:
    served.serve("SELECT 1 AS id, 2 AS v, 3 AS gone")
    for column in ("v", "gone"):
        superuser.execute(f"COMMENT ON COLUMN {served.view}.{column} IS 'about'")
        superuser.execute(f"GRANT SELECT ({column}) ON {served.view} TO tea")

    served.serve("SELECT 1 AS id, 'text' AS v")

    after = state(superuser, served.view)
    assert after["comments"] == [("v", "about")]
    assert [row[:3] for row in after["grants on columns"]] == [("v", "sync", "tea")]


def test_a_grant_of_a_role_as_which_the_sync_may_not_act_becomes_one_of_the_owner(
    served: Served, superuser: psycopg.Connection, analysts: str
) -> None:
    served.serve("SELECT 1 AS id, 2 AS v")
    superuser.execute(f"GRANT SELECT ON {served.view} TO tea WITH GRANT OPTION")
    superuser.execute(f"SET ROLE tea; GRANT SELECT ON {served.view} TO coffee; RESET ROLE")

    served.serve("SELECT 1 AS id")

    assert ("sync", "coffee", "SELECT", False) in state(superuser, served.view)["grants"]


def test_a_view_of_the_same_definition_is_not_touched(served: Served, target: psycopg.Connection) -> None:
    served.serve("SELECT 1 AS id")
    query = (
        "SELECT pg_class.xmin, pg_rewrite.xmin FROM pg_class JOIN pg_rewrite ON ev_class = pg_class.oid "
        f"WHERE relname = '{served.name}'"
    )
    before = target.execute(query).fetchall()
    [(table,)] = target.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'serving_data'::regnamespace AND starts_with(relname, %s)",
        (served.name,),
    ).fetchall()

    outcome = target.execute(
        "SELECT outcome FROM serving.replace_view('serving', %s, %s)",
        (served.name, f"SELECT id FROM serving_data.{table}"),
    ).fetchone()

    assert outcome == ("unchanged",)
    assert target.execute(query).fetchall() == before


def test_names_are_looked_up_as_the_caller_looks_them_up(served: Served, target: psycopg.Connection) -> None:
    served.serve("SELECT 1 AS id")
    target.execute("SET search_path = serving")
    query = f"SELECT id + 1 AS next FROM {served.name}"
    try:
        for expected in ("created", "unchanged"):
            row = target.execute(
                "SELECT outcome FROM serving.replace_view('serving', %s, %s)", (f"{served.name}_next", query)
            ).fetchone()
            assert row == (expected,)
    finally:
        target.execute("RESET search_path")
    assert target.execute(f"SELECT next FROM {served.view}_next").fetchall() == [(2,)]


def test_the_functions_are_created_once_and_only_dbt_may_call_them_besides(
    superuser: psycopg.Connection, target: psycopg.Connection
) -> None:
    versions.create_schemas(target)
    query = "SELECT oid, xmin FROM pg_proc WHERE pronamespace = 'serving'::regnamespace ORDER BY oid"
    before = superuser.execute(query).fetchall()
    versions.create_schemas(target)
    assert superuser.execute(query).fetchall() == before

    allowed = superuser.execute(
        "SELECT DISTINCT rolname FROM pg_roles JOIN pg_proc ON pronamespace = 'serving'::regnamespace "
        "WHERE has_function_privilege(pg_roles.oid, pg_proc.oid, 'EXECUTE') AND NOT rolsuper"
    ).fetchall()
    assert sorted(allowed) == [("dbt",), ("sync",)]


def test_functions_of_another_release_are_replaced(superuser: psycopg.Connection, target: psycopg.Connection) -> None:
    versions.create_schemas(target)
    target.execute("CREATE OR REPLACE FUNCTION serving.view_label(view oid) RETURNS text LANGUAGE sql AS $$SELECT ''$$")
    target.execute(
        "COMMENT ON FUNCTION serving.replace_view(text, text, text, integer, integer, double precision) IS 'gcc old'"
    )

    versions.create_schemas(target)

    assert target.execute("SELECT serving.view_label('pg_class'::regclass)").fetchone() == ("pg_catalog.pg_class",)
