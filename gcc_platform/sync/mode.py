"""Chooses how a mart is synced: not at all, by the rows that changed, or in full."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gcc_platform.sync.ends import Found
from gcc_platform.sync.state import State

_MOST_CHANGED = 0.2
"""The share of changed rows from which on a full copy costs less than upserting them."""
_MOST_BLOAT = 1.5
"""How many times as large a table may grow as it was after its last full copy."""


class Mode(StrEnum):
    """What a sync does."""

    UNCHANGED = "unchanged"
    CHANGED_ROWS = "changed rows"
    FULL = "full"


@dataclass(frozen=True)
class Choice:
    """A mode, and why."""

    mode: Mode
    reason: str


def is_unchanged(before: State, found: Found) -> bool:
    """Whether the mart's rows are those of a state."""
    if before.layout != found.layout or before.rows != found.rows.count:
        return False
    if before.source_uuid and (before.source_uuid, before.source_parts) == (found.table.uuid, found.table.parts):
        return True
    if found.rows.watermarks or before.watermarks:
        return _is_same_table(before, found) and before.watermarks == found.rows.watermarks
    return before.fingerprint == found.rows.fingerprint


def choose(before: State | None, found: Found, *, changed: int, present_bytes: int, least_rows: int) -> Choice:
    """Choose by what was served before and what is there now; `changed` is the number of rows inserted since."""
    if before is None:
        return Choice(Mode.FULL, "it was never synced, or its table in PostgreSQL is gone")
    if is_unchanged(before, found):
        return Choice(Mode.UNCHANGED, "no row has changed")
    for reason in _against_upserting(before, found, changed, present_bytes, least_rows):
        return Choice(Mode.FULL, reason)
    return Choice(Mode.CHANGED_ROWS, f"{changed} rows were inserted since")


def _against_upserting(before: State, found: Found, changed: int, present_bytes: int, least_rows: int) -> Iterator[str]:
    """The reasons for which the changed rows cannot be found, or cost more than all."""
    if before.layout != found.layout:
        yield "its columns, grain or indexes have changed"
    if not found.table.has_block_numbers:
        yield "rows have changed, and its table has no block numbers"
    if not before.watermarks or before.source_uuid != found.table.uuid:
        yield "its table in ClickHouse was created again"
    if found.table.is_changing or found.table.changed_in_place > before.changed_in_place:
        yield "rows were changed in place"
    if any(block < before.watermarks.get(name, block) for name, block in found.rows.watermarks.items()):
        yield "block numbers have begun again"
    if found.rows.count < least_rows:
        yield f"rows have changed, and it has fewer than {least_rows}"
    if changed > _MOST_CHANGED * found.rows.count:
        yield f"{changed} of {found.rows.count} rows have changed"
    if present_bytes > _MOST_BLOAT * before.full_bytes:
        yield f"its table has grown to {present_bytes} bytes from {before.full_bytes}"


def _is_same_table(before: State, found: Found) -> bool:
    return (
        before.source_uuid == found.table.uuid
        and not found.table.is_changing
        and found.table.changed_in_place <= before.changed_in_place
    )
