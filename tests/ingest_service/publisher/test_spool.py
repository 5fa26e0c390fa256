import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.publisher.record import MAGIC, Record, packed, unpacked
from ingest_service.publisher.spool import Spool, SpoolInUse, SpoolUnusable

RECORDS = st.lists(
    st.builds(Record, st.from_regex(r"[a-z_]{1,20}", fullmatch=True), st.binary(max_size=200)), max_size=12
)
FOUR = [Record("post_log_events", b"%d" % number) for number in range(4)]


@contextmanager
def opened(directory: Path, limit: int = 2**20, segment_size: int = 2**16) -> Iterator[Spool]:
    spool = Spool(directory, limit, segment_size)
    spool.open()
    try:
        yield spool
    finally:
        spool.close()


def drained(spool: Spool) -> list[Record]:
    found: list[Record] = []
    while (segment := spool.oldest()) is not None:
        found += segment.records
        spool.remove(segment.number)
    return found


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.spool"))


@settings(max_examples=60)
@given(records=RECORDS, data=st.data())
def test_of_a_file_cut_anywhere_what_was_written_whole_comes_back_in_order_and_nothing_else(
    records: list[Record], data: st.DataObject
) -> None:
    whole = MAGIC + packed(records)
    cut = data.draw(st.integers(0, len(whole)))
    read = unpacked(whole[:cut])
    ends = [len(MAGIC + packed(records[: count + 1])) for count in range(len(records))]
    fitting = sum(end <= cut for end in ends)
    assert read.records == records[:fitting]
    assert read.torn_bytes == cut - (ends[fitting - 1] if fitting else min(cut, len(MAGIC)) if cut >= len(MAGIC) else 0)


@settings(max_examples=60)
@given(records=RECORDS, tail=st.binary(max_size=64))
def test_what_follows_the_records_without_being_one_is_not_taken_for_one(records: list[Record], tail: bytes) -> None:
    read = unpacked(MAGIC + packed(records) + tail)
    assert (read.records, read.torn_bytes) == (records, len(tail))


@settings(max_examples=60)
@given(records=RECORDS.filter(bool), data=st.data())
def test_a_changed_byte_never_yields_a_record_that_was_not_written(records: list[Record], data: st.DataObject) -> None:
    content = bytearray(MAGIC + packed(records))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    found = unpacked(bytes(content)).records
    assert found == records[: len(found)]
    assert len(found) < len(records)


def test_a_stretch_of_zeros_is_no_record() -> None:
    assert unpacked(MAGIC + bytes(64)) == ([], 64)


@settings(max_examples=30)  # each one syncs files to disk
@given(batches=st.lists(RECORDS, max_size=6), segment_size=st.integers(1, 600))
def test_a_spool_opened_again_gives_every_record_in_order(batches: list[list[Record]], segment_size: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory, written = Path(name), [record for batch in batches for record in batch]
        for batch in batches:
            with opened(directory, segment_size=segment_size) as spool:
                assert spool.append(batch) == len(batch)
        with opened(directory, segment_size=segment_size) as spool:
            assert drained(spool) == written
        assert not segments(directory)


def test_a_torn_tail_is_reported_and_hides_nothing_that_is_written_later(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(FOUR[:2])
    (torn,) = segments(tmp_path)
    torn.write_bytes(torn.read_bytes()[:-1])
    spool = Spool(tmp_path, 2**20, 2**16)
    assert spool.open() == 1
    assert [path for path, _ in spool.torn] == [torn]
    spool.append(FOUR[2:])
    assert drained(spool) == [FOUR[0], *FOUR[2:]]
    spool.close()


def test_a_segment_stays_until_it_is_removed(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(FOUR)
        first, again = spool.oldest(), spool.oldest()
        assert first == again
        assert first is not None
        assert list(first.records) == FOUR


def test_a_full_spool_takes_only_what_fits_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    big = [Record("k", bytes(400)) for _ in range(3)]
    with opened(tmp_path, limit=1_000) as spool:
        assert spool.append(big) == 2
        assert spool.append(big) == 0
        assert spool.append(big[:1], beyond_limit=True) == 1
        assert len(drained(spool)) == 3
        assert spool.append(big[:1]) == 1


def test_a_failed_write_leaves_no_half_record_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as spool:
        spool.append(FOUR[:1])
        with monkeypatch.context() as full:
            write = os.write

            def some(descriptor: int, content: bytes) -> int:
                if len(content) < 20:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return write(descriptor, content[:15])

            full.setattr(os, "write", some)
            with pytest.raises(OSError, match="No space"):
                spool.append(FOUR[1:3])
        spool.append(FOUR[3:])
        assert drained(spool) == [FOUR[0], FOUR[3]]


def test_a_segment_with_nothing_whole_in_it_is_reported_once_and_gone(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(FOUR[:1])
    (torn,) = segments(tmp_path)
    torn.write_bytes(torn.read_bytes()[:-1])
    with opened(tmp_path) as spool:
        assert [path for path, _ in spool.torn] == [torn]
        assert spool.oldest() is None
    with opened(tmp_path) as spool:
        assert not spool.torn


def test_events_lost_on_disk_while_running_are_counted_as_missing(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(FOUR)
        (path,) = segments(tmp_path)
        path.write_bytes(path.read_bytes()[:-1])
        segment = spool.oldest()
        assert segment is not None
        assert (len(segment.records), segment.missing) == (3, 1)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.spool", "00000000000000000007.spool", "README"):
        (tmp_path / name).write_text("not ours")
    with opened(tmp_path) as spool:
        spool.append(FOUR)
        assert drained(spool) == FOUR
    assert (tmp_path / "00000000000000000007.spool").read_text() == "not ours"


def test_a_second_process_is_told_that_the_spool_is_in_use(tmp_path: Path) -> None:
    hold = (
        "import sys; from pathlib import Path; from ingest_service.publisher.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), 1, 1); spool.open(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(SpoolInUse, match="give every process one of its own"):
            Spool(tmp_path, 1, 1).open()
        other.communicate()
    with opened(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolUnusable, match="file/spool cannot be used"):
        Spool(tmp_path / "file" / "spool", 1, 1).open()
