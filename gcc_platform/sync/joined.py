"""A transaction that may be part of another: what several steps write becomes visible at once."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.pq import TransactionStatus


@contextmanager
def transaction(postgres: psycopg.Connection) -> Iterator[None]:
    """Begin a transaction, or go on in the present one.

    Not a savepoint: rows written after one carry another number than that of the transaction (`State.written_by`).
    """
    if postgres.info.transaction_status == TransactionStatus.INTRANS:
        yield
        return
    with postgres.transaction():
        yield
