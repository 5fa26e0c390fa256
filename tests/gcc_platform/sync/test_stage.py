"""Rows wait in a bucket or a folder: all of them arrive or none, nothing stays there, and nobody sees the keys."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from clickhouse_connect.driver.client import Client
from structlog.testing import capture_logs

from gcc_platform import stage_location
from gcc_platform.local_stack.clickhouse import ClickHouse as LocalClickHouse
from gcc_platform.local_stack.ports import Ports
from gcc_platform.resources import clickhouse
from gcc_platform.resources.clickhouse import ClickHouse, ClickHouseFailed
from gcc_platform.resources.object_store import ObjectStoreFailed
from gcc_platform.stage_location import COLLECTION
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.stage import StagedRows, StagedRowsLost, row_source
from gcc_platform.sync.syncing import sync
from tests.harness.running import eventually
from tests.harness.s3_server import S3Server

ROWS = 200_000
QUERY = f"SELECT number, generateUUIDv4(), NULL, 'a\\tb\\nc' FROM numbers({ROWS})"
"""Incompressible, so that its object is read in more than one piece."""


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Running. It is asked once for each thing: tests of failures need not wait for repetitions."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3_server.start()
    return s3_server


@pytest.fixture
def staged(source: ClickHouse, bucket: S3Server) -> Iterator[StagedRows]:
    with row_source(stage_location.parse(bucket.url), source, "mart_x", "a-run") as rows:
        assert isinstance(rows, StagedRows)
        yield rows
    assert bucket.objects() == []


def test_a_sync_that_needs_no_rows_does_not_ask_the_store(source: ClickHouse, bucket: S3Server) -> None:
    bucket.kill()
    with capture_logs() as logged, row_source(stage_location.parse(bucket.url), source, "mart_x", ""):
        pass
    assert logged == []


def text(rows: ClickHouse | StagedRows, query: str) -> bytes:
    return b"".join(rows.tab_separated(query))


def test_without_a_stage_rows_come_from_clickhouse_itself(source: ClickHouse) -> None:
    with row_source(None, source, "mart_x", "") as rows:
        assert rows is source


def test_what_is_read_is_what_clickhouse_would_have_sent(source: ClickHouse, staged: StagedRows) -> None:
    query = (
        "SELECT number, toDateTime64('2026-01-01', 6) + number, if(number % 3 = 0, NULL, 'ä\\t\\\\N\\n'), "
        "[number, 1], toJSONString(map('a', number)) FROM numbers(100000) ORDER BY number DESC"
    )
    assert text(staged, query) == text(source, query)


def test_no_rows_are_no_rows(staged: StagedRows) -> None:
    assert text(staged, "SELECT number FROM numbers(0)") == b""


def test_one_piece_is_in_memory(staged: StagedRows) -> None:
    assert max(map(len, staged.tab_separated(QUERY))) <= clickhouse.CHUNK_BYTES


def test_an_object_has_the_names_of_mart_and_run_and_goes_when_it_is_read(staged: StagedRows, bucket: S3Server) -> None:
    chunks = staged.tab_separated(QUERY)
    next(chunks)
    [found] = bucket.objects()
    assert found.parent.name == "mart_x"
    assert found.name.startswith("a-run-")
    list(chunks)
    assert bucket.objects() == []


def test_an_object_goes_when_the_sync_ends_before_it_was_read(source: ClickHouse, bucket: S3Server) -> None:
    with row_source(stage_location.parse(bucket.url), source, "mart {x}*", "") as rows:
        chunks = rows.tab_separated(QUERY)
        next(chunks)
        assert len(bucket.objects()) == 1
    assert bucket.objects() == []


def test_a_query_that_fails_in_the_middle_is_clickhouses_error(staged: StagedRows) -> None:
    with pytest.raises(ClickHouseFailed, match="throwIf"):
        text(staged, f"SELECT number, throwIf(number = {ROWS - 1}) FROM numbers({ROWS})")


def test_an_object_cut_short_is_refused(staged: StagedRows, bucket: S3Server) -> None:
    chunks = staged.tab_separated(QUERY)
    next(chunks)
    [found] = bucket.objects()
    os.truncate(found, found.stat().st_size - 1000)
    with pytest.raises((StagedRowsLost, ObjectStoreFailed), match=r"GCC_SYNC_STAGE: http.*/bucket/marts/mart_x/a-run-"):
        list(chunks)


@pytest.mark.parametrize("replaced", ["SELECT number FROM numbers(99)", "SELECT number FROM numbers(101)"])
def test_an_object_with_other_rows_than_clickhouse_wrote_is_refused(
    staged: StagedRows, bucket: S3Server, source: ClickHouse, replaced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = source.write_rows

    def replacing(insert: str, parameters: Mapping[str, str], settings: Mapping[str, str | int]) -> int:
        written = write(insert, parameters, settings)
        write(insert.partition("SELECT")[0] + replaced, parameters, settings)
        return written

    monkeypatch.setattr(source, "write_rows", replacing)
    with pytest.raises(StagedRowsLost, match=r"has (99|101) rows, and ClickHouse wrote 100"):
        text(staged, "SELECT number FROM numbers(100)")


def test_a_missing_object_is_refused(
    staged: StagedRows, bucket: S3Server, source: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "write_rows", lambda *_: 5)
    with pytest.raises(ObjectStoreFailed, match="FileNotFoundError"):
        text(staged, "SELECT 1")


def test_a_server_that_is_killed_in_the_middle_leaves_what_was_served(
    source: ClickHouse, target: psycopg.Connection, bucket: S3Server, mart: Mart, warehouse: Client
) -> None:
    location = stage_location.parse(bucket.url)
    with row_source(location, source, mart.name, "first") as rows:
        sync(source, target, mart, rows=rows)
    warehouse.command(f"INSERT INTO {mart.source} SELECT number + {ROWS}, generateUUIDv4() FROM numbers({ROWS})")

    with pytest.raises(ObjectStoreFailed), row_source(location, source, mart.name, "second") as rows:
        sync(source, target, mart, rows=KillingAfterOneChunk(rows, bucket))

    assert target.execute(f"SELECT count(*) FROM serving.{mart.name}").fetchone() == (ROWS,)
    [(tables,)] = target.execute(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'serving_data' AND starts_with(tablename, %s)",
        (f"{mart.name}__",),
    ).fetchall()
    assert tables == 1
    bucket.start()
    for left in bucket.objects():
        bucket.make_older(left, 90_000)
    with row_source(location, source, mart.name, "third") as rows:
        sync(source, target, mart, rows=rows)
    assert target.execute(f"SELECT count(*) FROM serving.{mart.name}").fetchone() == (2 * ROWS,)
    assert bucket.objects() == []


class KillingAfterOneChunk:
    def __init__(self, rows: ClickHouse | StagedRows, server: S3Server) -> None:
        self._rows = rows
        self._server = server

    def tab_separated(self, query: str) -> Iterator[bytes]:
        chunks = self._rows.tab_separated(query)
        yield next(chunks)
        self._server.kill()
        yield from chunks


@pytest.fixture
def mart(make_mart: object, warehouse: Client) -> Mart:
    """Of random rows, so that its object is read in more than one piece."""
    assert callable(make_mart)
    made = make_mart("id UInt64, v UUID", f"number, generateUUIDv4() FROM numbers({ROWS})")
    assert isinstance(made, Mart)
    return made


def test_a_server_that_is_away_is_clickhouses_error_after_seconds(source: ClickHouse, bucket: S3Server) -> None:
    bucket.kill()
    started = time.monotonic()
    with (
        pytest.raises(ClickHouseFailed, match="S3_ERROR"),
        row_source(stage_location.parse(bucket.url), source, "mart_x", "") as rows,
    ):
        text(rows, "SELECT 1")
    assert time.monotonic() - started < 60


_READ_A_CHUNK_AND_WAIT = """
import sys, time
from gcc_platform import stage_location
from gcc_platform.resources import clickhouse
from gcc_platform.sync.stage import row_source
source_url, stage_url, query = sys.argv[1:]
with clickhouse.connect(source_url, {}) as source:
    with row_source(stage_location.parse(stage_url), source, "mart_x", "killed") as rows:
        next(rows.tab_separated(query))
        print("read", flush=True)
        time.sleep(600)
"""


def test_an_object_that_cannot_be_deleted_is_logged_and_its_rows_are_right(
    source: ClickHouse, bucket: S3Server
) -> None:
    with (
        capture_logs() as logged,
        row_source(stage_location.parse(bucket.url), source, "mart_x", "") as rows,
    ):
        chunks = rows.tab_separated("SELECT 'all of them'")
        assert next(chunks) == b"all of them\n"
        bucket.kill()
        assert list(chunks) == []
    assert [entry["event"] for entry in logged] == ["an object stays in the stage", "old objects stay in the stage"]
    bucket.start()
    [left] = bucket.objects()
    left.unlink()


def test_what_a_killed_sync_left_is_deleted_by_a_sync_a_day_later(
    stack: Mapping[str, str], source: ClickHouse, bucket: S3Server
) -> None:
    location = stage_location.parse(bucket.url)
    arguments = (stack["GCC_SYNC_CLICKHOUSE_URL"], bucket.url, QUERY)
    with subprocess.Popen([sys.executable, "-c", _READ_A_CHUNK_AND_WAIT, *arguments], stdout=subprocess.PIPE) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == b"read\n"
        killed.send_signal(signal.SIGKILL)
    [left] = bucket.objects()
    others = bucket.folder / "theirs" / "file.tsv.zst"
    others.parent.mkdir()
    others.touch()
    os.utime(others, (0, 0))

    with row_source(location, source, "mart_y", "") as rows:
        text(rows, "SELECT 1")
    assert bucket.objects() == [left, others]
    bucket.make_older(left, 90_000)
    with row_source(location, source, "mart_y", "") as rows:
        text(rows, "SELECT 1")

    assert bucket.objects() == [others]
    others.unlink()


def test_neither_the_query_log_nor_an_error_has_the_keys(
    source: ClickHouse, bucket: S3Server, staged: StagedRows
) -> None:
    text(staged, "SELECT 'a staged query'")
    eventually(lambda: source.rows("SELECT 1 FROM system.query_log WHERE query LIKE 'INSERT%a staged query%'"))
    logged = source.rows("SELECT query || exception FROM system.query_log WHERE query LIKE '%INTO FUNCTION s3(%'")
    assert [text for (text,) in logged if bucket.secret in text] == []
    with (
        pytest.raises(ObjectStoreFailed, match="PermissionError") as refused,
        row_source(stage_location.parse(bucket.url.replace(bucket.secret, "s3cret")), source, "mart_x", "") as rows,
    ):
        text(rows, "SELECT 1")
    assert "s3cret" not in str(refused.value)
    for left in bucket.objects():  # these keys may not delete it either
        left.unlink()


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT * FROM s3({COLLECTION}, filename = 'x', format = 'LineAsString')",
        f"INSERT INTO FUNCTION s3({COLLECTION}, filename = '../x', format = 'LineAsString') SELECT 'x'",
        "INSERT INTO FUNCTION s3('http://127.0.0.1:1/bucket/x', 'k', 's', 'LineAsString') SELECT 'x'",
        "INSERT INTO FUNCTION file('/tmp/x', 'LineAsString') SELECT 'x'",
        "INSERT INTO FUNCTION url('http://127.0.0.1:1/x', 'LineAsString') SELECT 'x'",
    ],
)
def test_the_syncs_user_may_write_below_the_stage_and_do_nothing_else_outside(
    source: ClickHouse, bucket: S3Server, statement: str
) -> None:
    with pytest.raises(ClickHouseFailed, match="Not enough privileges"):
        source.rows(statement)


def test_the_address_and_the_keys_of_the_collection_cannot_be_replaced(source: ClickHouse, bucket: S3Server) -> None:
    for name, value in {"url": "http://127.0.0.1:1/", "access_key_id": "k", "secret_access_key": "s"}.items():
        with pytest.raises(ClickHouseFailed, match=f"Override not allowed for '{name}'"):
            source.rows(f"INSERT INTO FUNCTION s3({COLLECTION}, {name} = '{value}', filename = 'x') SELECT 1")


def test_a_folder_is_a_stage_of_a_local_server_that_was_started_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "stage"
    monkeypatch.setenv("GCC_SYNC_STAGE", str(folder))
    directory = tmp_path / "clickhouse"
    directory.mkdir(mode=0o700)
    server = LocalClickHouse(directory, Ports.free(), dict.fromkeys(LocalClickHouse.users, "secret"), fast=True)
    server.start(threading.Event())
    try:
        with (
            clickhouse.connect(server.environment()["GCC_SYNC_CLICKHOUSE_URL"], {}) as source,
            row_source(stage_location.parse(str(folder)), source, "mart_x", "a-run") as rows,
        ):
            chunks = rows.tab_separated(QUERY)
            next(chunks)
            assert [path.parent for path in folder.rglob("*.zst")] == [folder / "mart_x"]
            assert sum(1 for _ in chunks) > 1
            with pytest.raises(ClickHouseFailed, match="Not enough privileges"):
                source.rows("SELECT * FROM file('/etc/passwd', 'LineAsString')")
        assert list(folder.rglob("*.zst")) == []
    finally:
        server.stop()
