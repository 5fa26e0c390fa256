"""The form of a spool file: what is whole comes back in order, nothing else does, and what is lost is counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.publisher.record import Record
from ingest_service.publisher.segment import (
    BLOCK_BYTES,
    HEAD_BYTES,
    HEAD_MARK,
    MAGIC,
    OLD_MAGIC,
    TAIL_BYTES,
    TAIL_MARK,
    Read,
    counted,
    packed,
    read,
)
from tests.ingest_service.publisher.earlier_format import of_the_first_form

BODIES = st.lists(st.binary(max_size=200), max_size=12)
BLOCK = 300


def numbered(bodies: list[bytes]) -> list[Record]:
    """Records that differ from each other."""
    return [Record("order_log_events", b"%d " % number + body) for number, body in enumerate(bodies)]


def blocks(records: list[Record]) -> list[tuple[int, int, list[Record]]]:
    """Where each block of a file of these records begins and ends, and what is in it."""
    found, position, rest = [], len(MAGIC), records
    while rest:
        size = count = 0
        while count < len(rest) and size < BLOCK:
            size += len(rest[count].routing_key) + 1 + len(rest[count].body)
            count += 1
        end = position + HEAD_BYTES + 4 * count + size + TAIL_BYTES
        found.append((position, end, rest[:count]))
        position, rest = end, rest[count:]
    return found


def whole(records: list[Record]) -> bytes:
    return MAGIC + packed(records, 0, BLOCK)


def is_part_of(part: list[Record], all_of_it: list[Record]) -> bool:
    rest = iter(all_of_it)
    return all(record in rest for record in part)


@settings(max_examples=100)
@given(bodies=BODIES, data=st.data())
def test_of_a_file_cut_anywhere_what_was_written_whole_comes_back_in_order_and_nothing_else(
    bodies: list[bytes], data: st.DataObject
) -> None:
    records = numbered(bodies)
    content = whole(records)
    assert len(content) == max([len(MAGIC), *(end for _, end, _ in blocks(records))])
    cut = data.draw(st.integers(0, len(content)))
    fitting = [(end, inside) for _, end, inside in blocks(records) if end - TAIL_BYTES <= cut]
    end = min(cut, max([len(MAGIC), *(end for end, _ in fitting)]))
    found = read(content[:cut])
    assert found.records == [record for _, inside in fitting for record in inside]
    assert (found.missing, found.damaged) == (0, False)
    assert found.torn_bytes == cut - (end if cut >= len(MAGIC) else 0)


@settings(max_examples=100)
@given(bodies=BODIES, tail=st.binary(max_size=64))
def test_what_follows_the_records_without_being_one_is_not_taken_for_one(bodies: list[bytes], tail: bytes) -> None:
    records = numbered(bodies)
    assert read(whole(records) + tail) == Read(records, 0, len(tail), damaged=False)


@settings(max_examples=300)
@given(bodies=BODIES.filter(bool), flip=st.integers(1, 255), data=st.data())
def test_a_changed_byte_costs_at_most_its_block_and_the_lost_are_counted(
    bodies: list[bytes], flip: int, data: st.DataObject
) -> None:
    records = numbered(bodies)
    content = bytearray(whole(records))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= flip
    for expected in (len(records), None):
        found = read(bytes(content), expected)
        untouched = [record for start, end, inside in blocks(records) if not start <= place < end for record in inside]
        assert is_part_of(untouched, list(found.records))
        assert is_part_of(list(found.records), records)
        assert found.missing == len(records) - len(found.records)
        assert found.damaged == (found.missing > 0)


@settings(max_examples=300)
@given(bodies=BODIES.filter(bool), filling=st.integers(0, 255), data=st.data())
def test_a_stretch_of_any_bytes_costs_at_most_the_blocks_it_touches_and_the_lost_are_counted(
    bodies: list[bytes], filling: int, data: st.DataObject
) -> None:
    records = numbered(bodies)
    content = bytearray(whole(records))
    first = data.draw(st.integers(0, len(content)))
    last = data.draw(st.integers(first, len(content)))
    content[first:last] = bytes([filling]) * (last - first)
    found = read(bytes(content), len(records))
    untouched = [record for start, end, inside in blocks(records) if end <= first or last <= start for record in inside]
    assert is_part_of(untouched, list(found.records))
    assert is_part_of(list(found.records), records)
    assert found.missing == len(records) - len(found.records)


def test_a_changed_byte_costs_64_kib_of_a_file_not_the_rest_of_it() -> None:
    records = numbered([bytes(1_000)] * 1_000)
    content = bytearray(MAGIC + packed(records, 0))
    content[len(content) // 2] ^= 1
    assert 0 < read(bytes(content)).missing <= BLOCK_BYTES // 1_000 + 1


def test_what_a_failed_write_left_beyond_the_records_that_counted_is_not_read() -> None:
    records = numbered([b""] * 4)
    content = MAGIC + packed(records[:2], 0) + packed(records[2:], 2)
    assert read(content, 2).records == records[:2]


def test_a_stretch_of_zeros_is_no_record() -> None:
    assert read(MAGIC + bytes(64)) == Read([], 0, 64, damaged=False)


def test_the_last_bytes_tell_how_many_records_there_are() -> None:
    content = whole(numbered([b"x" * 100] * 9))
    assert counted(content[-TAIL_BYTES:]) == 9
    assert counted(content[-TAIL_BYTES - 1 : -1]) is None


@pytest.mark.parametrize("mark", [HEAD_MARK, TAIL_MARK])
def test_no_event_can_hold_a_mark(mark: bytes) -> None:
    assert mark.startswith(b"\xff")  # which is nowhere in UTF-8


@settings(max_examples=60)
@given(bodies=BODIES.filter(bool), data=st.data())
def test_files_of_the_first_form_are_read_up_to_what_is_not_whole_and_then_count_as_damaged(
    bodies: list[bytes], data: st.DataObject
) -> None:
    records = numbered(bodies)
    content = of_the_first_form(records)
    assert read(content) == read(content, len(records)) == Read(records, 0, 0, damaged=False)
    place = data.draw(st.integers(len(OLD_MAGIC), len(content) - 1))
    changed = read(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :], len(records))
    assert list(changed.records) == records[: len(changed.records)]
    assert len(changed.records) + changed.missing == len(records)
    assert changed.damaged
