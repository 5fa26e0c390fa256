"""How much PostgreSQL has written to its log: the position of all sessions, read from outside."""

import psycopg


def position(url: str) -> int:
    """Bytes of WAL since the server was created."""
    with psycopg.connect(url, autocommit=True) as connection:
        [(found,)] = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchall()
    return int(found)
