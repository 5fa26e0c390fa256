"""Which ids of an old table are decided: nobody can still commit a row with one of them.

An id is taken before its row is visible, and a sequence gives it without a transaction id. A session that took one and
has not committed is in a transaction that began before. So ids taken before the oldest transaction began are
decided. (Sound while ids are taken in the transaction that inserts the row, and while the sequence's CACHE is 1.)
"""

from collections.abc import Callable
from datetime import datetime

from gcc_platform.migration.postgres import Connection
from ingest_service.errors import UserError


class CannotSeeTransactions(UserError):
    """The server does not show all transactions to this user, or is a replica, on which none of them are."""


_MAY_SEE = "SELECT pg_is_in_recovery(), pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), current_user"

_OLDEST = """
SELECT least(
    clock_timestamp(),
    (SELECT min(xact_start) FROM pg_stat_activity
     WHERE backend_type NOT IN ('autovacuum worker', 'walsender', 'parallel worker')
         AND pid <> pg_backend_pid() AND datname = current_database()),
    (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database()))
"""


async def check(connection: Connection) -> None:
    """Raise CannotSeeTransactions unless `horizon` is true on this connection."""
    found = await (await connection.execute(_MAY_SEE)).fetchone()
    assert found is not None
    is_replica, may_see, user = found
    if is_replica:
        raise CannotSeeTransactions(
            "GCC_LEGACY_URL is a replica, where the transactions of those who write are not visible: new rows would be "
            "lost. Use the primary's URL to plan the backfill and for the tail; otherwise a replica is enough"
        )
    if not may_see:
        raise CannotSeeTransactions(
            f"the user {user} of GCC_LEGACY_URL does not see other users' transactions, and new rows would be lost: "
            f'GRANT pg_read_all_stats TO "{user}"'
        )


async def horizon(connection: Connection) -> datetime:
    """When the oldest transaction began, or now if there is none, by the old database's clock.

    Ask before the snapshot in which rows are looked for.
    """
    found = await (await connection.execute(_OLDEST)).fetchone()
    assert found is not None
    began: datetime = found[0]
    return began


def reported_once(table: str, report: Callable[[str], None]) -> Callable[[], None]:
    """A callback for those who wait until a table's ids are decided: its first call reports what they wait for."""
    pending = [f"{table}: waiting for the transactions that are under way in the old database"]

    def waiting() -> None:
        if pending:
            report(pending.pop())

    return waiting
