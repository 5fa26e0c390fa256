"""The API's views, which dbt creates: whether their queries are as dbt left them, so that dbt seldom has to run.

Owner, grants, comments and options are not compared: others may change them, and they stay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

_SCHEMA = "api"

_CREATE = """
CREATE TABLE IF NOT EXISTS serving_data.api_views (
    view text PRIMARY KEY,
    code text NOT NULL,
    state text NOT NULL,  -- of the query
    built_at timestamptz NOT NULL DEFAULT now()
)
"""

_STATES = """
SELECT relname, md5(pg_get_viewdef(oid)) FROM pg_class
WHERE relnamespace = to_regnamespace(%s) AND relname = ANY(%s) AND relkind = 'v'
"""

# After these have changed, PostgreSQL may show the same query in other words. A view over all columns of a mart has
# those that the mart had when it was created.
_COLUMNS_AND_RELEASE = """
SELECT md5(current_setting('server_version_num') || coalesce(string_agg(
    concat_ws('.', relname, attname, format_type(atttypid, atttypmod)), '|' ORDER BY relname, attnum), ''))
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = to_regnamespace('serving') AND relkind = 'v' AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True)
class Difference:
    """Why a view has to be built."""

    view: str
    reason: str
    by_hand: bool
    """Whether somebody has changed it: its code is the same."""


def differences(postgres: psycopg.Connection, views: Sequence[str], code: str) -> list[Difference]:
    """The views whose queries are not as the code and the marts' columns want them. `code` identifies dbt's project."""
    if _is_missing(postgres):
        postgres.execute(_CREATE)
    wanted = _with_columns(postgres, code)
    built = {
        view: (known, state)
        for view, known, state in postgres.execute("SELECT view, code, state FROM serving_data.api_views").fetchall()
    }
    present = _states(postgres, views)
    found = []
    for view in views:
        known, state = built.get(view, ("", ""))
        if known != wanted:
            found.append(Difference(view, "its code or a mart's columns have changed", by_hand=False))
        elif view not in present:
            found.append(Difference(view, f"the view {_SCHEMA}.{view} was dropped", by_hand=True))
        elif present[view] != state:
            found.append(Difference(view, f"the query of {_SCHEMA}.{view} was changed", by_hand=True))
    return found


def record(postgres: psycopg.Connection, views: Sequence[str], code: str) -> None:
    """Record the views as dbt has just built them."""
    wanted, present = _with_columns(postgres, code), _states(postgres, views)
    with postgres.transaction():
        for view in filter(present.__contains__, views):
            postgres.execute(
                "INSERT INTO serving_data.api_views (view, code, state) VALUES (%s, %s, %s) ON CONFLICT (view) "
                "DO UPDATE SET code = excluded.code, state = excluded.state, built_at = now()",
                (view, wanted, present[view]),
            )


def _is_missing(postgres: psycopg.Connection) -> bool:
    return postgres.execute("SELECT to_regclass('serving_data.api_views')").fetchone() == (None,)


def _with_columns(postgres: psycopg.Connection, code: str) -> str:
    row = postgres.execute(_COLUMNS_AND_RELEASE).fetchone()
    return f"{code}:{row[0] if row else ''}"


def _states(postgres: psycopg.Connection, views: Sequence[str]) -> Mapping[str, str]:
    return dict(postgres.execute(_STATES, (_SCHEMA, list(views))).fetchall())
