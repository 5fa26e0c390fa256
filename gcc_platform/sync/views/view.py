"""The view that readers query: swaps the table behind it without making readers wait for long."""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from ingest_service.errors import UserError


class ViewBusy(UserError):
    """Readers kept the view locked during every attempt of the swap; the old version stays."""


class SwapRefused(UserError):
    """The swap would lose something that depends on the view; the old version stays. The message names the way out."""


@dataclass(frozen=True)
class SwapRetry:
    """How often a swap is attempted. An attempt makes new readers wait for `lock_milliseconds` at most.

    By default a swap gives up after a minute. Attempts take a third of the time, and succeed if the last transaction
    that holds the view ends in one. A reader whose transactions of 5 s follow each other without a gap ends twelve in a
    minute: one swap in 130 gives up (computed).
    """

    lock_milliseconds: int = 100
    pause_seconds: float = 0.2
    """The mean of the pauses, which are random: from half of it to one and a half."""
    attempts: int = 200


DEFAULT_RETRY = SwapRetry()


@dataclass(frozen=True)
class Swapped:
    """The result of a swap."""

    attempts: int
    outcome: str
    """created, unchanged, replaced (columns were added, or none changed), or recreated with the views over it."""


def swap(postgres: psycopg.Connection, mart: str, table: str, retry: SwapRetry) -> Swapped:
    """Point `serving.<mart>` at a table of serving_data, inside the caller's transaction.

    The transaction holds the view's lock until it ends. Raises ViewBusy and SwapRefused; earlier work of the
    transaction stays then. replace_view.ensure must have run.
    """
    try:
        with postgres.transaction():
            row = postgres.execute(
                "SELECT attempts, outcome FROM serving.replace_view('serving', %s, %s, %s, %s, %s)",
                (
                    mart,
                    _query(postgres, mart, table),
                    retry.attempts,
                    retry.lock_milliseconds,
                    retry.pause_seconds,
                ),
            ).fetchone()
    except psycopg.errors.LockNotAvailable as error:
        raise ViewBusy(_message(error)) from None
    except psycopg.errors.DependentObjectsStillExist as error:
        raise SwapRefused(_message(error)) from None
    assert row is not None
    return Swapped(*row)


def _query(postgres: psycopg.Connection, mart: str, table: str) -> str:
    """The view's query. Columns keep their places, for then the views over it need not be created again."""
    old, new = _columns(postgres, "serving", mart), _columns(postgres, "serving_data", table)
    names = [*filter(new.__contains__, old), *(name for name in new if name not in old)]
    return (
        sql.SQL("SELECT {} FROM serving_data.{}")
        .format(sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(table))
        .as_string(postgres)
    )


def _columns(postgres: psycopg.Connection, schema: str, relation: str) -> list[str]:
    """A relation's columns, in order; empty if it does not exist."""
    rows = postgres.execute(
        """
        SELECT attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = to_regnamespace(%s) AND relname = %s AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
        """,
        (schema, relation),
    ).fetchall()
    return [row[0] for row in rows]


def _message(error: psycopg.Error) -> str:
    return f"{error.diag.message_primary}. {error.diag.message_hint or ''}".strip()
