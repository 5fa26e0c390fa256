"""How far the migration is, from its state."""

from dataclasses import dataclass

import psycopg

from tests.benchmarks.migration.servers import Servers


@dataclass(frozen=True)
class Progress:
    """Of all tables."""

    chunks: int
    done: int
    attempts: int
    rows: int
    """Of the chunks that are done."""
    rejected: int

    @property
    def is_done(self) -> bool:
        """Whether every chunk is."""
        return 0 < self.chunks == self.done


_QUERY = """
SELECT count(*), count(*) FILTER (WHERE state = 'done'), coalesce(sum(attempts), 0)::bigint,
    coalesce(sum(rows_written) FILTER (WHERE state = 'done'), 0)::bigint,
    (SELECT count(*) FROM migration.rejected)
FROM migration.chunks
"""


class Reader:
    """Asks the state, which is not killed."""

    def __init__(self, servers: Servers) -> None:
        self._connection = psycopg.connect(servers.environment["GCC_MIGRATION_POSTGRES_URL"], autocommit=True)

    def __call__(self) -> Progress:
        """Where it stands now."""
        found = self._connection.execute(_QUERY).fetchone()
        assert found is not None
        return Progress(*found)

    def has_claimed(self, pid: int) -> bool:
        """Whether a process has worked on a chunk."""
        query = "SELECT FROM migration.chunks WHERE worker LIKE %s"
        return self._connection.execute(query, [f"%:{pid}.%"]).rowcount > 0

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What a query on the state finds."""
        return self._connection.execute(query.encode()).fetchall()
