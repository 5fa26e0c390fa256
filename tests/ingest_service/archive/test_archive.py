import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ingest_service.events.registry import EVENT_TYPES
from tests.harness.archiving import (
    Environment,
    archive_once,
    archiving,
    body_of,
    files,
    letter_headers,
    lines,
    put,
    rows,
    waiting,
)
from tests.harness.proxy import Proxy, through
from tests.harness.running import eventually, run

QUEUE = EVENT_TYPES["order_log"].error_queue
BODIES = [
    b'{"a": "\xc3\xbc \\u0000"}',
    b"\xff\xfe\x00 not text",
    b"",
    b"line\nbreak",
    b"\xed\xa0\x80",
    bytes(range(256)),
]


def test_bodies_and_headers_are_in_a_file_and_in_the_table_as_they_came(environment: Environment) -> None:
    put(environment, "order_log", [(body, letter_headers(detail=f"no {n}")) for n, body in enumerate(BODIES)])
    put(environment, "post_log", [(b"put here by hand", {})])
    assert archive_once(environment) == len(BODIES) + 1
    assert waiting(environment, QUEUE) == 0
    found = [line for file in files(environment) for line in lines(file)]
    assert sorted(body_of(line) for line in found) == sorted([*BODIES, b"put here by hand"])
    assert all(line.headers == letter_headers(detail=f"no {BODIES.index(body_of(line))}")
               for line in found if line.event_type == "order_log")  # fmt: skip
    stored = rows(environment, "letter_id, event_type, reason, detail, attempts, first_rejected_at, archive_file,"
                               " hex(body) AS body, headers")  # fmt: skip
    assert {row["letter_id"] for row in stored} == {str(line.letter_id) for line in found}
    assert sorted(bytes.fromhex(row["body"]) for row in stored) == sorted(body_of(line) for line in found)
    assert {row["archive_file"] for row in stored} == {f"file://{file}" for file in files(environment)}
    one = next(row for row in stored if row["detail"] == "no 1")
    assert (one["reason"], one["attempts"], one["first_rejected_at"]) == ("not_json", 1, "2026-01-15 03:00:00.123")


def test_a_letter_archived_again_after_a_kill_between_file_and_table_is_one_row(
    environment: Environment, tmp_path: Path
) -> None:
    put(environment, "order_log", [(b"%d" % n, letter_headers()) for n in range(50)])
    parts = urlsplit(environment["CLICKHOUSE_URL"])
    folder = Path(environment["GCC_ARCHIVE_URL"]) / "order_log"
    with Proxy(parts.hostname or "", parts.port or 0) as proxy:
        proxy.open()
        behind = {**environment, "CLICKHOUSE_URL": through(proxy, environment["CLICKHOUSE_URL"])}
        with archiving({**behind, "GCC_ARCHIVE_SECONDS": "2"}, tmp_path / "log") as process:
            eventually(lambda: waiting(environment, QUEUE) == 0, what="they are received")
            folder.parent.mkdir()
            folder.write_text("in the way")  # so that files cannot be written, nor anything after them
            eventually(
                lambda: (
                    "NotADirectory" in (tmp_path / "log").read_text() or "FileExists" in (tmp_path / "log").read_text()
                )
            )
            proxy.close()
            folder.unlink()
            eventually(lambda: files(environment), what=(tmp_path / "log").read_text())
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert rows(environment, "letter_id") == []
    assert archive_once(environment) == 50
    assert [row["detail"] for row in rows(environment, "detail")] == ["it is so"] * 50
    assert [len(lines(file)) for file in files(environment)] == [50, 50]
    ids = [{line.letter_id for line in lines(file)} for file in files(environment)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 50


def test_an_archiver_killed_in_mid_work_loses_nothing_and_archives_every_letter_once_by_its_id(
    environment: Environment, tmp_path: Path
) -> None:
    bodies = [b"\xff%d" % n if n % 3 else b'{"n": %d}' % n for n in range(4_000)]
    put(environment, "order_log", [(body, letter_headers()) for body in bodies])
    for kills in range(2):
        with archiving(environment, tmp_path / "log") as process:
            eventually(lambda: len(files(environment)) > kills, what="it is at work")  # noqa: B023
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert waiting(environment, QUEUE) > 0
    archive_once(environment)
    assert waiting(environment, QUEUE) == 0
    stored = rows(environment, "letter_id, hex(body) AS body")
    assert len({row["letter_id"] for row in stored}) == len(stored) == len(bodies)
    assert {bytes.fromhex(row["body"]) for row in stored} == set(bodies)
    assert {body_of(line) for file in files(environment) for line in lines(file)} == set(bodies)


def test_sigterm_archives_what_was_received_and_exits_0(environment: Environment, tmp_path: Path) -> None:
    put(environment, "order_log", [(b"{", letter_headers())])
    with archiving({**environment, "GCC_ARCHIVE_SECONDS": "3600"}, tmp_path / "log") as process:
        eventually(lambda: waiting(environment, QUEUE) == 0, what="it is received")
        assert files(environment) == []
        process.terminate()
        assert process.wait(30) == 0
    assert len(rows(environment, "letter_id")) == 1
    assert waiting(environment, QUEUE) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"GCC_ARCHIVE_URL": "/dev/null/archive"}, "GCC_ARCHIVE_URL: file:///dev/null/archive/order_log"),
        (
            {"CLICKHOUSE_URL": "http://u:s3cret@127.0.0.1:1"},
            "CLICKHOUSE_URL: no ClickHouse answers at http://u@127.0.0.1:1",
        ),
        ({"GCC_ARCHIVE_URL": "nosuch://s3cret"}, "GCC_ARCHIVE_URL cannot be understood"),
    ],
)
def test_where_it_cannot_archive_once_it_says_why_and_the_letters_stay(
    environment: Environment, change: dict[str, str], said: str
) -> None:
    put(environment, "order_log", [(b"{", letter_headers())])
    done = run({**environment, **change}, "archive", "--once")
    assert done.returncode == 1
    assert said in done.stderr.decode()
    assert "s3cret" not in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    eventually(lambda: waiting(environment, QUEUE) == 1)


def test_where_there_is_no_local_stack_the_archive_has_no_default_folder(
    environment: Environment, tmp_path: Path
) -> None:
    put(environment, "order_log", [(b"x", letter_headers("not_json"))])
    elsewhere = {**environment, "GCC_LOCAL_DIR": str(tmp_path / "none"), "GCC_ARCHIVE_URL": ""}
    done = run(elsewhere, "archive", "--once")
    assert done.returncode == 2
    assert b"GCC_ARCHIVE_URL is not set" in done.stderr
    assert not (tmp_path / "none").exists()
    assert waiting(environment, QUEUE) == 1
