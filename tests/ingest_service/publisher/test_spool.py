import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.publisher.record import Record
from ingest_service.publisher.segment import TAIL_BYTES
from ingest_service.publisher.spool import Spool, SpoolInUse, SpoolUnusable
from ingest_service.publisher.spools import Shared
from tests.ingest_service.publisher.earlier_format import of_the_first_form

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
        spool.remove(segment)
    return found


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.spool"))


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


def interrupted(directory: Path, *batches: list[Record]) -> Path:
    """The file of a process that was killed after it had written these batches; it was not sealed."""
    with opened(directory) as spool:
        for batch in batches:
            spool.append(batch)
        (path,) = segments(directory)
        content = path.read_bytes()
    for each in segments(directory):
        each.unlink()
    path.write_bytes(content)
    return path


def test_a_torn_tail_is_reported_and_hides_nothing_that_is_written_later(tmp_path: Path) -> None:
    torn = interrupted(tmp_path, FOUR[:1], FOUR[1:2])
    torn.write_bytes(torn.read_bytes()[: -TAIL_BYTES - 1])
    with opened(tmp_path) as spool:
        assert spool.count == 1
        assert [path for path, _ in spool.torn] == [torn]
        spool.append(FOUR[2:])
        assert drained(spool) == [FOUR[0], *FOUR[2:]]
    assert not list(tmp_path.glob("*.damaged"))


def test_a_spool_is_opened_without_reading_what_is_in_it(tmp_path: Path) -> None:
    big = [Record("post_log_events", bytes(2**20))] * 8
    sealed, killed = tmp_path / "sealed", tmp_path / "killed"
    with opened(sealed, limit=2**26) as spool:
        for _ in range(4):
            spool.append(big)
    interrupted(killed, FOUR, FOUR)
    for directory, count in ((sealed, 32), (killed, 8)):
        before = bytes_read()
        with opened(directory, limit=2**26) as spool:
            assert spool.count == count
            assert bytes_read() - before < 2**16


def bytes_read() -> int:
    """How many bytes this process has ever asked files for."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_damaged_file_gives_what_is_whole_and_is_kept_aside(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        for record in FOUR:
            spool.append([record])
        (path,) = segments(tmp_path)
        content = path.read_bytes()
        damaged = content.replace(b"\n2", b"\n7")
        path.write_bytes(damaged)
        segment = spool.oldest()
        assert segment is not None
        assert (segment.records, segment.missing, segment.damaged) == ([*FOUR[:2], FOUR[3]], 1, True)
        spool.remove(segment)
        assert spool.oldest() is None
    (kept,) = tmp_path.glob("*.damaged")
    assert kept.read_bytes() == damaged
    with opened(tmp_path) as spool:
        spool.append(FOUR)  # under another number, or the next damage would take its place
        assert spool.count == 4
        (path,) = segments(tmp_path)
        assert path.stem > kept.stem


def test_files_of_the_first_form_are_found_and_sent_and_kept_where_they_are_damaged(tmp_path: Path) -> None:
    for number, end in ((1, None), (2, -1)):
        (tmp_path / f"{number:020d}.spool").write_bytes(of_the_first_form(FOUR)[:end])
    with opened(tmp_path) as spool:
        assert spool.count == 7
        spool.append(FOUR)
        assert drained(spool) == [*FOUR, *FOUR[:3], *FOUR]
    assert [each.name for each in tmp_path.glob("*.damaged")] == ["00000000000000000002.damaged"]


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
    torn = interrupted(tmp_path, FOUR[:1])
    torn.write_bytes(torn.read_bytes()[: -TAIL_BYTES - 1])
    with opened(tmp_path) as spool:
        assert [path for path, _ in spool.torn] == [torn]
        assert spool.oldest() is None
    with opened(tmp_path) as spool:
        assert not spool.torn


def test_events_lost_on_disk_while_running_are_counted_as_missing(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        spool.append(FOUR[:3])
        spool.append(FOUR[3:])
        (path,) = segments(tmp_path)
        path.write_bytes(path.read_bytes()[: -TAIL_BYTES - 1])
        segment = spool.oldest()
        assert segment is not None
        assert (len(segment.records), segment.missing) == (3, 1)


def test_a_segment_that_cannot_be_read_now_is_read_after_the_others(tmp_path: Path) -> None:
    with opened(tmp_path, segment_size=1) as spool:
        for record in FOUR:
            spool.append([record])
        first = segments(tmp_path)[0]
        away = first.rename(tmp_path / "away")
        with pytest.raises(FileNotFoundError):
            spool.oldest()
        assert spool.postpone() == first
        segment = spool.oldest()
        assert segment is not None
        assert list(segment.records) == FOUR[1:2]
        away.rename(first)
        assert drained(spool) == [*FOUR[1:], FOUR[0]]


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


def test_a_directory_of_another_user_is_not_in_the_way_of_the_next(tmp_path: Path) -> None:
    (tmp_path / "0").touch()  # as unusable, for root too
    spool = Shared(tmp_path, 2**20, 2**16).open()
    assert spool.directory == tmp_path / "1"
    spool.close()


def test_what_is_left_behind_is_taken_over_a_segment_at_a_time_but_not_from_who_runs(tmp_path: Path) -> None:
    shared = Shared(tmp_path, 2**20, 1)
    first, second, third = (shared.open() for _ in range(3))
    for spool in (first, second, third):
        for record in FOUR:
            spool.append([record])
    second.close()
    taken = [shared.take_over(first).events for _ in range(6)]
    assert taken == [1, 1, 1, 1, 0, 0]
    assert (first.count, third.count) == (8, 4)
    assert drained(first) == [*FOUR, *FOUR]
    assert not segments(tmp_path / "1")
    first.close()
    third.close()


def test_what_cannot_be_taken_over_is_named_and_not_in_the_way_of_the_rest(tmp_path: Path) -> None:
    shared = Shared(tmp_path, 2**20, 2**16)
    (tmp_path / "1").touch()
    (tmp_path / "2").mkdir()
    for name in ("2", "3"):
        with opened(tmp_path / name) as spool:
            spool.append(FOUR)
    (tmp_path / "2" / "lock").unlink()
    (tmp_path / "2" / "lock").mkdir()
    own = shared.open()
    found = shared.take_over(own)
    assert found.events == 4
    assert [str(tmp_path / name) in trouble for name, trouble in zip("12", found.troubles, strict=True)] == [True, True]
    own.close()


def test_two_that_take_over_at_once_find_every_segment_once(tmp_path: Path) -> None:
    left = [Spool(tmp_path / str(number), 2**20, 1) for number in range(2, 6)]
    for spool in left:
        spool.open()
        for record in FOUR:
            spool.append([record])
        spool.close()
    shared = Shared(tmp_path, 2**20, 2**16)
    owns = [shared.open(), shared.open()]

    def all_of_it(own: Spool) -> int:
        count = misses = 0
        while misses < 20:
            found = shared.take_over(own).events
            count, misses = count + found, 0 if found else misses + 1
        return count

    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(all_of_it, owns)) == 16
    assert sorted(record.body for own in owns for record in drained(own)) == sorted(each.body for each in FOUR * 4)
    for own in owns:
        own.close()
