"""Whether rows of an old table may have been changed or deleted: PostgreSQL counts both."""

from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.postgres import Connection

# A crash sets the counters to 0, and so does a reset: both show in the times of the last reset. TRUNCATE and VACUUM
# FULL make another file.
_COUNTERS = """
SELECT pg_is_in_recovery() OR current_setting('track_counts') <> 'on',
    concat_ws(' ', n_tup_upd, n_tup_del, pg_relation_filenode(relid),
    (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
    (SELECT stats_reset FROM pg_stat_bgwriter))
FROM pg_stat_user_tables WHERE relid = %s::regclass
"""


async def counters(old: Connection, table: LegacyTable) -> str | None:
    """A text that is another one after rows of the table were changed or deleted. Ask before reading the rows.

    None if the server cannot know it: a replica does not count, nor one with track_counts off. Raises psycopg.Error.
    """
    found = await (await old.execute(_COUNTERS.encode(), [table.name])).fetchone()
    return None if found is None or found[0] else str(found[1])
