"""dbt builds a view of the API again if its query is not as dbt left it; what others have added to it is theirs."""

from collections.abc import Iterator

import psycopg
import pytest

from gcc_platform.sync import versions
from gcc_platform.sync.views.api_views import Difference, differences, record

_VIEW = "api_views_test"


@pytest.fixture
def built(superuser: psycopg.Connection, target: psycopg.Connection, analysts: str) -> Iterator[psycopg.Connection]:
    """A view as dbt has built it; the connection is the sync's."""
    versions.create_schemas(target)
    differences(target, [], "code")
    superuser.execute(f"SET ROLE dbt; CREATE VIEW api.{_VIEW} AS SELECT 1 AS id; RESET ROLE")
    record(target, [_VIEW], "code")
    yield target
    superuser.execute(f"DROP VIEW IF EXISTS api.{_VIEW}")
    target.execute("DELETE FROM serving_data.api_views WHERE view = %s", (_VIEW,))


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT SELECT ON {} TO coffee WITH GRANT OPTION",
        "GRANT SELECT (id) ON {} TO tea",
        "COMMENT ON COLUMN {}.id IS 'mine'",
        "ALTER VIEW {} SET (security_barrier = true)",
        "ALTER VIEW {} OWNER TO coffee",
    ],
)
def test_what_others_have_added_is_no_reason_to_build(
    built: psycopg.Connection, superuser: psycopg.Connection, statement: str
) -> None:
    superuser.execute(statement.format(f"api.{_VIEW}"))
    assert differences(built, [_VIEW], "code") == []


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("CREATE OR REPLACE VIEW {} AS SELECT 2 AS id", f"the query of api.{_VIEW} was changed"),
        ("DROP VIEW {}", f"the view api.{_VIEW} was dropped"),
    ],
)
def test_a_view_that_was_dropped_or_has_another_query_is_built_again(
    built: psycopg.Connection, superuser: psycopg.Connection, statement: str, reason: str
) -> None:
    superuser.execute(statement.format(f"api.{_VIEW}"))
    assert differences(built, [_VIEW], "code") == [Difference(_VIEW, reason, by_hand=True)]


def test_new_code_is_a_reason_to_build(built: psycopg.Connection) -> None:
    assert [found.by_hand for found in differences(built, [_VIEW], "other code")] == [False]
