"""The keys of the migration's assets: one per old table and step. Dagster's graph shows their last part only."""

import dagster as dg

from gcc_platform.migration.legacy_tables import LEGACY_TABLES

GROUP = "migration"
STATUS = dg.AssetKey([GROUP, "status"])
SHADOW_MARTS = dg.AssetKey([GROUP, "shadow_marts"])


def backfill(table: str) -> dg.AssetKey:
    """All old rows of a table."""
    return dg.AssetKey([GROUP, f"{table}_backfill"])


def tail(table: str) -> dg.AssetKey:
    """The rows that crawlers not yet upgraded still write."""
    return dg.AssetKey([GROUP, f"{table}_tail"])


def parity(table: str) -> dg.AssetKey:
    """The comparison of both sides."""
    return dg.AssetKey([GROUP, f"{table}_parity"])


def reverse(table: str) -> dg.AssetKey:
    """The rows that are made of events."""
    return dg.AssetKey([GROUP, f"{table}_reverse"])


REVERSED = tuple(name for name, table in LEGACY_TABLES.items() if not table.is_queue)
"""The tables that are written back."""
