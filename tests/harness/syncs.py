"""The sync of a mart, called in one place for all proofs and measurements of it."""

from dataclasses import dataclass

import psycopg

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync import layout, syncing
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.outcome import Options, Synced
from gcc_platform.sync.views.view import SwapRetry


@dataclass(frozen=True)
class Outcome:
    """What a sync reports of itself. The proofs compare it with what they see themselves."""

    mode: str
    reason: str
    rows: int
    sent_bytes: int
    seconds: float
    changed: tuple[int, int, int]
    """Rows inserted, updated and deleted."""
    compared_seconds: float = 0.0
    """The part of the seconds in which it compared key ranges on both servers."""
    found: tuple[str, ...] = ()
    """What it found to be different from the mart without a reason: descriptions, which name keys."""


def run(
    clickhouse: ClickHouse,
    postgres: psycopg.Connection,
    mart: Mart,
    *,
    full: bool = False,
    least_rows: int = layout.UPSERTED,
    max_fall: float = 1.0,
    attempts: int = SwapRetry.attempts,
) -> Outcome:
    """Sync a mart once. Marts of the proofs may lose all their rows."""
    retry = SwapRetry(attempts=attempts)
    options = Options(is_full=full, least_rows=least_rows, max_fall=max_fall, retry=retry, run_id="proof")
    done = syncing.sync(clickhouse, postgres, mart, options)
    changed = (done.inserted, done.updated, done.deleted)
    return Outcome(
        str(done.mode),
        done.reason,
        done.rows,
        done.sent_bytes,
        done.seconds,
        changed,
        done.compared.seconds,
        _found(done),
    )


def _found(done: Synced) -> tuple[str, ...]:
    written = (done.written.description,) if done.written else ()
    return (*written, *(each.description for each in done.compared.differences))
