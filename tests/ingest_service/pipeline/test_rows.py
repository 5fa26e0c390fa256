"""Rows are split without losing, doubling or mixing up any of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from ingest_service.pipeline.rows import Rows

START = datetime(2026, 1, 1)  # without a time zone, as events may be
ZONES = [None, UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))]

TIMES = st.lists(
    st.builds(
        lambda hours, zone: (START + timedelta(hours=hours)).replace(tzinfo=zone),
        st.integers(0, 100_000),
        st.sampled_from(ZONES),
    ),
    min_size=1,
    max_size=40,
)


def rows_of(times: Sequence[datetime]) -> Rows:
    """A row for each time; the positions have gaps, as after rejected messages."""
    return Rows([b"row %d" % at for at in range(len(times))], [3 * at + 1 for at in range(len(times))], times)


def content(parts: Sequence[Rows]) -> list[tuple[bytes, int, datetime]]:
    return [each for part in parts for each in zip(part.rows, part.positions, part.times, strict=True)]


@given(TIMES)
def test_halves_are_the_rows_in_their_order_and_about_equal(times: list[datetime]) -> None:
    rows = rows_of(times)
    first, second = rows.halves()
    assert content([first, second]) == content([rows])
    assert 0 <= len(second) - len(first) <= 1


@given(TIMES, st.data())
def test_around_a_row_are_what_is_before_it_the_row_alone_and_what_is_after(
    times: list[datetime], data: st.DataObject
) -> None:
    rows = rows_of(times)
    blamed = data.draw(st.integers(1, len(rows)))
    parts = rows.around(blamed)
    assert content(parts) == content([rows])
    assert all(parts), "a part without rows would cost an insert"
    assert [part for part in parts if part.rows == [b"row %d" % (blamed - 1)]]


@given(TIMES)
def test_by_time_each_row_keeps_its_position_and_halves_do_not_overlap_in_time(times: list[datetime]) -> None:
    rows = rows_of(times)
    ordered = rows.by_time()
    assert sorted(content([ordered]), key=lambda row: row[1]) == content([rows])
    first, second = ([in_utc(time) for time in half.times] for half in ordered.halves())
    assert not first or not second or max(first) <= min(second)


@given(TIMES)
def test_the_size_is_that_of_the_rows_alone(times: list[datetime]) -> None:
    rows = rows_of(times)
    assert rows.size() == len(b"".join(rows.rows))


def in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
