"""The oracle and the proxies see what they are there to see."""

from collections.abc import Iterator
from datetime import date

import pytest

from tests.sync_proof import oracle
from tests.sync_proof.statements import of_clickhouse, of_postgres


def content(*rows: tuple[object, ...]) -> oracle.Content:
    return oracle._content(["id", "v"], rows, ["id"])


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([(1, 2)], []),
        ([], [(1, 2)]),
        ([(1, 2)], [(1, 3)]),
        ([(1, None)], [(1, 0)]),
        ([(1, None)], [(1, "")]),
        ([(1, 0.0)], [(1, -0.0)]),
        ([(1, True)], [(1, 1)]),
        ([(1, ["a", None])], [(1, ["a", "None"])]),
        ([(1, date(2026, 1, 1))], [(1, "2026-01-01")]),
    ],
)
def test_a_difference_is_one(wanted: list[tuple[object, ...]], found: list[tuple[object, ...]]) -> None:
    assert oracle.difference(content(*wanted), content(*found))
    assert not oracle.difference(content(*wanted), content(*wanted))


def test_a_key_twice_is_noticed() -> None:
    with pytest.raises(oracle.Doubled):
        content((1, 2), (1, 2))


def received(data: bytes) -> Iterator[bytes]:
    """One byte after the other."""
    yield from (data[place : place + 1] for place in range(len(data)))


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


def test_statements_to_postgresql_are_separated() -> None:
    greeting = (80877103).to_bytes(4)
    sent = [
        message(b"", greeting),
        message(b"", (196608).to_bytes(4) + b"user\0sync\0\0"),
        message(b"p", b"password\0"),
        message(b"Q", b"BEGIN\0"),
        message(b"P", b"\0SELECT 1\0\0\0") + message(b"B", b"") + message(b"E", b"") + message(b"S", b""),
        message(b"B", b"") + message(b"S", b""),
        message(b"d", b"1\t2\n"),
        message(b"c", b""),
    ]
    stream = received(b"".join(sent))
    split = of_postgres(lambda: next(stream))
    found = [next(split) for _ in sent]
    assert [data for _, data in found] == sent
    labels = ["", "", "", "BEGIN", "SELECT 1", "a prepared statement", "a block of COPY", "the end of COPY"]
    assert [label for label, _ in found] == labels


def test_requests_to_clickhouse_are_separated() -> None:
    first = b"POST /?a=1 HTTP/1.1\r\nContent-Length: 8\r\n\r\nSELECT 1"
    second = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    stream = received(first + second)
    split = of_clickhouse(lambda: next(stream))
    assert [next(split), next(split)] == [
        ("ClickHouse: SELECT 1", first),
        ("ClickHouse: GET /ping HTTP/1.1 Host: x", second),
    ]
