"""SQL for PostgreSQL: an event as a row of its old table, the inverse of legacy_tables.py.

SQL is over `a.event`, the event as ClickHouse writes it: a JSON object in which `metrics` and the like are text. The
events are a parameter and not a temporary table, for which each batch would leave dead rows in the catalog of a
database that is not ours.
"""

from collections.abc import Iterator, Mapping, Sequence

from gcc_platform.migration.legacy_table import DERIVED, Database, LegacyTable, quoted

_NAMES: Mapping[str, str] = {"shortcode": "platform_post_id"}
"""Columns of the old tables that are not called as in the event."""
_CASTS = {"score": "::double precision"}


_ARRIVED = """arrived AS MATERIALIZED (
    SELECT line::jsonb AS event, at
    FROM unnest(string_to_array(%(events)s::text, E'\\n')) WITH ORDINALITY AS of_lines (line, at))"""


def insert_sql(table: LegacyTable, database: Database, with_series: str | None = None, into: str | None = None) -> str:
    """A statement that inserts those `events`, one a line, that have no row yet, and returns how many they are.

    Ids follow the order of the lines. A row with the same event_id that another transaction has not yet committed is
    waited for. `with_series` is the statement's second part, which fills a table of series from the same new rows:
    `series_sql`. `into` is a table of the same shape, by default the old table itself.
    """
    columns = dict(_columns(table, database))
    names, values = ", ".join(columns), ", ".join(columns.values())
    series = f", series AS ({with_series})" if with_series else ""
    return f"""WITH {_ARRIVED}, new AS (
        INSERT INTO {into or table.name} ({names}) SELECT {values} FROM arrived AS a ORDER BY a.at
        ON CONFLICT (event_id) WHERE event_id IS NOT NULL DO NOTHING RETURNING event_id){series}
        SELECT count(*) FROM new"""


def row_columns(table: LegacyTable) -> Sequence[str]:
    """The columns of a row that an event fills, without the lists."""
    return [name for name, _ in _columns(table, Database()) if name not in table.lists]


def series_sql(table: LegacyTable, database: Database) -> tuple[str, str] | None:
    """The old table of series that readers use besides a log, and the SQL that fills it; None if there is none."""
    at = _time(database.zone(table.name))
    metric = _metric
    of_new = "FROM arrived AS a JOIN new ON new.event_id = (a.event ->> 'event_id')::uuid"
    instagram = "WHERE a.event ->> 'platform' = 'INSTAGRAM'"
    if table.name == "profile_log":
        return (
            "insta_account_ts",
            f"""INSERT INTO insta_account_ts (profile_id, handle, followers, following,
            media_count, avg_likes, avg_comments, created_at, timestamp)
            SELECT a.event ->> 'profile_id', a.event ->> 'handle', {metric("followers")}::bigint,
                {metric("following")}::bigint, {metric("posts")}::bigint, {metric("avg_likes")}::double precision,
                {metric("avg_comments")}::double precision, {at}, {at} {of_new} {instagram} ORDER BY a.at""",
        )
    if table.name == "post_log":
        return (
            "insta_post_ts",
            f"""INSERT INTO insta_post_ts (shortcode, likes, comments, plays, reach, created_at,
            timestamp)
            SELECT a.event ->> 'shortcode', {metric("likes")}::bigint, {metric("comments")}::bigint,
                {metric("plays")}::bigint, {metric("reach")}::bigint, {at}, {at} {of_new} {instagram} ORDER BY a.at""",
        )
    return None


def _columns(table: LegacyTable, database: Database) -> Iterator[tuple[str, str]]:
    yield "event_id", "(a.event ->> 'event_id')::uuid"
    yield table.time, _time(database.zone(table.name))
    for column in table.columns:
        if column in ("metrics", "dimensions"):
            yield column, _as_it_was(column)
        elif column not in DERIVED:
            yield _NAMES.get(column, column), f"(a.event ->> '{column}'){_CASTS.get(column, '')}"
    for column in table.lists:
        if column not in table.columns:
            yield column, _as_list(f"((a.event ->> 'extra')::jsonb -> '{column}')")


def _time(zone: str) -> str:
    return f"((a.event ->> 'event_timestamp') || '+00')::timestamptz AT TIME ZONE {quoted(zone)}"


def _as_it_was(column: str) -> str:
    """The list of a column. One that an object could not hold is in the event's `extra`, word for word."""
    kept = f"((a.event ->> 'extra')::jsonb -> '{column}')"
    listed = _as_list(f"(a.event ->> '{column}')::jsonb")
    return f"coalesce({kept}, {listed})"


def _as_list(json: str) -> str:
    """An object as the list of pairs that the old readers know; anything else as it is."""
    return f"""CASE WHEN jsonb_typeof({json}) = 'object' THEN
        (SELECT coalesce(jsonb_agg(jsonb_build_object('key', key, 'value', value)), '[]') FROM jsonb_each({json}))
        ELSE {json} END"""


def _metric(name: str) -> str:
    """A metric that is a number of at most 18 digits, else NULL."""
    value = f"((a.event ->> 'metrics')::jsonb -> '{name}')"
    return f"""CASE WHEN jsonb_typeof({value}) = 'number' AND abs({value}::numeric) < 1e18 THEN {value}::numeric END"""
