import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.archive import records as letter
from ingest_service.archive.files import ArchiveFiles, BadArchiveUrl, NotWritten
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.archiving import body_of, letter_headers, lines

ORDER_LOG = EVENT_TYPES["order_log"]
NOW = datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 11, 25, tzinfo=UTC)


def read(body: bytes, headers: dict[str, Any], now: datetime = NOW) -> letter.DeadLetterRecord:
    return letter.read(ORDER_LOG, body, headers, now)


def test_a_letter_keeps_its_id_when_it_is_delivered_again_and_when_it_fails_again() -> None:
    first = read(b"{", letter_headers())
    delivered_again = read(b"{", {**letter_headers(), "x-delivery-count": 2}, LATER)
    failed_again = read(b"{", {**letter_headers(), "x-gcc-attempts": 2, "x-gcc-last-rejected-at": LATER.isoformat()})
    assert first.letter_id == delivered_again.letter_id == failed_again.letter_id
    assert failed_again.attempts == 2


def test_letters_of_another_body_time_or_type_have_ids_of_their_own() -> None:
    others = [
        read(b"{ ", letter_headers()),
        read(b"{", letter_headers(at="2026-01-15T03:00:00.124+00:00")),
        letter.read(EVENT_TYPES["post_log"], b"{", letter_headers(), NOW),
    ]
    assert len({read(b"{", letter_headers()).letter_id, *(other.letter_id for other in others)}) == 4


def test_a_letter_of_an_earlier_version_has_the_one_time_that_it_told() -> None:
    old = read(b"{", {"x-gcc-reason": "not_json", "x-gcc-rejected-at": "2026-01-15T03:00:00.123+00:00"})
    assert old.first_rejected_at == old.last_rejected_at == datetime(2026, 1, 15, 3, 0, 0, 123_000, UTC)


def test_a_message_that_says_nothing_of_itself_is_a_letter_too_with_one_id_whenever_it_is_read() -> None:
    alien = read(b"hello", {})
    assert (alien.reason, alien.attempts, alien.last_rejected_at) == ("unknown", 1, NOW)
    assert (alien.original_exchange, alien.original_routing_key) == ("beat.dx", "order_log_events")
    assert alien.letter_id == read(b"hello", {}, LATER).letter_id


values = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(), st.binary()),
        *(st.decimals(allow_nan=True), st.datetimes(timezones=st.just(UTC))),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
"""What a header's value may be, once it is decoded."""


@given(bodies=st.lists(st.binary(max_size=50) | st.text(max_size=50).map(str.encode), min_size=1, max_size=5))
async def test_a_file_holds_every_body_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes]
) -> None:
    files = ArchiveFiles(str(tmp_path_factory.mktemp("archive")))
    path = files.new("order_log", NOW)
    told = {"x-raw": b"\xff", "x-count": 3, "x-when": NOW, "x-list": [1, None, True]}
    await files.write(path, [read(body, told) for body in bodies])
    found = lines(Path(path))
    assert [body_of(line) for line in found] == bodies
    assert found[0].headers["x-raw"] == {"base64": "/w=="}
    assert found[0].headers["x-count"] == 3


@given(headers=st.dictionaries(st.text(max_size=5), values, max_size=5))
async def test_a_letter_with_headers_of_any_type_is_written_with_all_of_them(
    tmp_path_factory: pytest.TempPathFactory, headers: dict[str, Any]
) -> None:
    files = ArchiveFiles(str(tmp_path_factory.mktemp("archive")))
    path = files.new("order_log", NOW)
    await files.write(path, [read(b"x", headers)])
    (line,) = lines(Path(path))
    assert line.headers.keys() == headers.keys()


def test_what_a_letter_says_of_itself_is_text_of_bounded_length_whatever_it_says() -> None:
    names = ("reason", "detail", "original-exchange", "original-routing-key")
    for odd in (b"\xff" * 10**5, "x" * 10**5, {"a": [1]}, None, float("nan"), 2**63):
        alien = read(b"x", {f"x-gcc-{name}": odd for name in names})
        for said in (alien.reason, alien.detail, alien.original_exchange, alien.original_routing_key):
            assert isinstance(said, str)
            assert len(said) <= 1_000


def test_files_are_named_by_type_and_hour_and_nothing_else_is_left_beside_them(tmp_path: Path) -> None:
    files = ArchiveFiles(str(tmp_path))
    path = files.new("order_log", NOW)
    assert path.startswith(f"{tmp_path}/order_log/date=2026-11-24/hour=03/")
    asyncio.run(files.write(path, [read(b"{", letter_headers())]))
    assert [str(each) for each in tmp_path.rglob("*") if each.is_file()] == [path]
    assert files.url(path) == f"file://{path}"


async def test_an_object_store_gets_a_file_in_one_put() -> None:
    files = ArchiveFiles("memory://bucket/letters")
    path = files.new("order_log", NOW)
    await files.write(path, [read(b"{", letter_headers())])
    assert files.url(path).startswith("memory://")


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    files = ArchiveFiles(str(tmp_path / "taken"))
    with pytest.raises(NotWritten, match=f"GCC_ARCHIVE_URL: file://{tmp_path}/taken/order_log.*NotADirectory"):
        await files.write(files.new("order_log", NOW), [read(b"{", letter_headers())])


def test_a_url_that_cannot_be_used_is_refused_without_showing_it() -> None:
    with pytest.raises(BadArchiveUrl, match="GCC_ARCHIVE_URL") as refused:
        ArchiveFiles("nosuch://u:s3cret@host/x")
    assert "s3cret" not in str(refused.value)
