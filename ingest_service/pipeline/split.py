"""What remains of rows after a failed insert: the parts to insert instead, and the rows that can never be stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from ingest_service.clickhouse.errors import TOO_LARGE_FOR_PROXY, Classification, ErrorClass
from ingest_service.events.validation import Rejection, Validated
from ingest_service.pipeline.rows import Rows


@dataclass(frozen=True, slots=True)
class Remaining:
    """What remains to be done for rows after an insert of them."""

    parts: Sequence[Rows] = ()
    """To be inserted instead, in order."""
    refused: Sequence[tuple[int, Rejection]] = ()
    """Rows that the table can never take, by their positions in the batch."""


NOTHING = Remaining()


def smaller(rows: Rows, classification: Classification) -> Remaining | None:
    """The parts to insert instead of rows that are too many together; None if the same rows may be retried."""
    if len(rows) > 1 and classification.error_class is ErrorClass.TIME_FAULT:
        return Remaining(rows.by_time().halves())
    if len(rows) > 1 and classification is TOO_LARGE_FOR_PROXY:
        return Remaining(rows.halves())
    return None


def without_rejected(validated: Validated) -> Remaining:
    """The rows that passed a second validation, as one part, and the rejected ones."""
    rows = Rows(validated.rows, validated.positions, validated.times)
    return Remaining([rows] if rows else [], validated.rejected)


def around(rows: Rows, blamed: int | None) -> Remaining:
    """The parts before, at and after the row (counted from 1) that the server blamed; halves if it blamed none."""
    return Remaining(rows.around(blamed) if blamed is not None and 1 <= blamed <= len(rows) else rows.halves())
