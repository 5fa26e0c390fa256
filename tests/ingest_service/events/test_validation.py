import gc
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.commands.simulator import Simulator
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.events.validation import Bounds, Reason, Rejection, Validator
from tests.harness.work import calls

POST: dict[str, Any] = {
    "event_id": "4b76ddcf-676f-5fe8-ba32-4b6e901ccaa9",
    "source": "graphapi",
    "platform": "INSTAGRAM",
    "profile_id": "17841",
    "shortcode": "abc",
    "event_timestamp": "2026-01-15 09:30:00",
    "metrics": {"views": 1},
    "dimensions": {},
}
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def validator(name: str) -> Validator:
    return Validator(EVENT_TYPES[name], Bounds(), lambda: NOW)


class Rejected(Exception):
    def __init__(self, rejection: Rejection) -> None:
        super().__init__(str(rejection))
        self.rejection = rejection


def admit(body: bytes, name: str = "post_log") -> bytes:
    """The row of a body. Raises Rejected."""
    validated = validator(name).validate([body])
    for _, rejection in validated.rejected:
        raise Rejected(rejection)
    (row,) = validated.rows
    return row


def body(**changes: Any) -> bytes:
    return json.dumps({**POST, **changes}, ensure_ascii=False).encode()


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_what_the_simulator_makes_is_admitted_as_the_very_bytes_that_came(name: str) -> None:
    simulator = Simulator(seed=1)
    events = [simulator.event(name) for _ in range(200)]
    admitted = Validator(EVENT_TYPES[name], Bounds()).validate(events)
    assert admitted.rows == events
    assert admitted.rejected == []


@pytest.mark.parametrize("moment", ["2026-01-15 09:30:00", "2026-01-15T09:30:00.123456Z", "2026-01-15T09:30:00+05:30"])
def test_both_notations_of_time_are_admitted(moment: str) -> None:
    admitted = body(event_timestamp=moment)
    assert admit(admitted) == admitted


def test_unknown_fields_are_kept_in_extra_with_their_bytes_unchanged() -> None:
    unknown = b'{"a": 123456789012345678901234567890, "b" : [1.50, null]}'
    admitted = json.loads(admit(body()[:-1] + b', "new": ' + unknown + b', "extra": "taken"}'))
    assert {name: admitted[name] for name in POST} == POST
    assert admitted["extra"] == {"new": json.loads(unknown), "extra": "taken"}
    assert unknown in admit(body()[:-1] + b', "new": ' + unknown + b"}")


def test_a_bad_body_is_named_by_its_place_and_the_others_keep_theirs() -> None:
    admitted = validator("post_log").validate([body(), b"{", body(shortcode="other"), b"", body()])
    assert admitted.positions == [0, 2, 4]
    assert [position for position, _ in admitted.rejected] == [1, 3]
    assert [moment.replace(tzinfo=None) for moment in admitted.times] == [datetime(2026, 1, 15, 9, 30)] * 3


def nested(levels: int) -> dict[str, Any]:
    inner: Any = 1
    for _ in range(levels):
        inner = [inner]
    return {"a": inner}


def test_brackets_in_text_or_side_by_side_are_no_nesting() -> None:
    admit(body(dimensions={"bio": "[" * 100 + '"\\', "many": [[]] * 100}))
    admit(body(metrics=nested(60)))


@pytest.mark.parametrize(
    ("rejected", "reason", "detail"),
    [
        (b"", Reason.NOT_JSON, "truncated"),
        (b"hello", Reason.NOT_JSON, "malformed"),
        (b"[1]", Reason.NOT_JSON, "object"),
        (b"\xff\xfe", Reason.NOT_UTF8, "byte 0"),
        (body()[:-3], Reason.NOT_JSON, "truncated"),
        (body(platform="X").replace(b'"X"', b'"\xff"'), Reason.NOT_UTF8, "byte"),
        (body(dimensions={"bio": "X"}).replace(b'"X"', b'"\xed\xa0\x80"'), Reason.NOT_UTF8, "byte"),
        (body(dimensions={"bio": "X"}).replace(b'"X"', b'"\\ud800"'), Reason.NOT_JSON, "malformed|truncated"),
        (body(metrics={"views": 777}).replace(b"777", b"NaN"), Reason.NOT_JSON, "malformed"),
        (body(metrics={"views": 777}).replace(b"777", b"-Infinity"), Reason.NOT_JSON, "malformed"),
        (body(dimensions={"bio": "x" * 5 * 2**20}), Reason.TOO_LARGE, "more than 4194304"),
        (body(metrics=nested(260)), Reason.TOO_DEEP, "256"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, Reason.TOO_DEEP, "256"),
        (b"[" * 1_000_000, Reason.TOO_DEEP, "256"),
        (body(event_id="no-uuid"), Reason.INVALID_FIELD, r"\$.event_id"),
        (body(shortcode=None), Reason.INVALID_FIELD, r"\$.shortcode"),
        (body(metrics=None), Reason.INVALID_FIELD, r"\$.metrics"),
        (body(metrics=[1]), Reason.INVALID_FIELD, r"\$.metrics"),
        (body(platform=7, new=1), Reason.INVALID_FIELD, r"\$.platform"),
        (body(new=1)[:-1] + b', "new": 2}', Reason.INVALID_FIELD, "a field is there more than once"),
        (b'{"new": 1}', Reason.INVALID_FIELD, "missing required field"),
        (body(event_timestamp=1768469400), Reason.INVALID_FIELD, r"\$.event_timestamp"),
        (body(event_timestamp="1970-01-01 00:00:00"), Reason.IMPLAUSIBLE_TIME, "2005-01-01"),
        (body(event_timestamp="2026-06-02 00:00:01"), Reason.IMPLAUSIBLE_TIME, "2026-06-02"),
        (body(event_timestamp="2106-02-07 06:28:15"), Reason.IMPLAUSIBLE_TIME, "2026-06-02"),
        (body(event_timestamp="+58356-01-01 00:00:00"), Reason.INVALID_FIELD, r"\$.event_timestamp"),
        (body(publish_time="0001-01-01 00:00:00"), Reason.IMPLAUSIBLE_TIME, "publish_time"),
    ],
)
def test_a_body_that_can_never_be_stored_is_rejected_with_reason_and_place(
    rejected: bytes, reason: Reason, detail: str
) -> None:
    with pytest.raises(Rejected, match=detail) as raised:
        admit(rejected)
    assert raised.value.rejection.reason is reason


def test_an_unsigned_number_beyond_64_bits_is_rejected_for_the_table_would_wrap_it() -> None:
    event = json.loads(Simulator(seed=1).event("scrape_request_log")) | {"event_timestamp": "2026-01-15 09:30:00"}
    admit(json.dumps(event | {"scl_id": 2**64 - 1}).encode(), "scrape_request_log")
    with pytest.raises(Rejected, match="scl_id"):
        admit(json.dumps(event | {"scl_id": 2**64}).encode(), "scrape_request_log")


def without_end(text: bytes, part: bytes, count: int) -> bytes:
    """A body whose last text, or nesting, never ends."""
    return body()[:-1] + b', "new": ' + text + part * count


CRAFTED: dict[str, Callable[[int], bytes]] = {
    "a caption of escaped JSON, cut off": lambda n: without_end(b'"', rb"{\"a\":[\"b\",{}]} ", n),
    "brackets in a text that does not end": lambda n: b"[" * 300 + without_end(b'"', b"[{", n),
    "quotation marks": lambda n: b'{"a":' + b"[" * 300 + b'"' * n,
    "escaped quotation marks": lambda n: b"[" * 300 + without_end(b'"', rb"\"", n),
    "backslashes": lambda n: b"[" * 300 + without_end(b'"', b"\\", n),
    "backslashes, one more": lambda n: b"[" * 300 + without_end(b'"', b"\\", n) + b"\\",
    "brackets that open": lambda n: b"[" * n,
    "objects that open": lambda n: b'{"a":' * n,
    "brackets that close": lambda n: b"[" * 300 + b"]" * n,
    "brackets side by side": lambda n: body(metrics={"a": [[]] * n}),
    "texts side by side": lambda n: body(metrics={"a": ["[", "", '"'] * n}),
    "unknown fields": lambda n: body(**{f"new {each}": [1] for each in range(n)}),
    "one unknown field, again and again": lambda n: body()[:-1] + b', "new": []' * n + b"}",
    "a long number": lambda n: body(metrics={"views": 777}).replace(b"777", b"7" * n),
    "a long number with a fraction": lambda n: body(metrics={"views": 777}).replace(b"777", b"7" * n + b".5"),
    "a long number of an unknown field": lambda n: body(new=777).replace(b"777", b"7" * n),
    "a long time": lambda n: body(event_timestamp="2026-01-15 09:30:00." + "1" * n),
    "bytes that are no UTF-8": lambda n: body()[:-1] + b"\xff" * n,
    "control characters": lambda n: body()[:-1] + b"\x00" * n,
    "white space": lambda n: body()[:-1] + b" " * n,
}
ONE_PASS = {
    *("bytes.count", "bytes.isascii", "bytes.join", "bytes.replace", "bytes.split", "bytes.translate", "bytes.decode"),
    *("builtins.all", "builtins.len", "builtins.max", "builtins.min", "builtins.isinstance", "builtins.getattr"),
    *("memoryview.cast", "list.append", "dict.items", "dict.values", "msgspec._core.json_encode", "Decoder.decode"),
    *("datetime.isoformat", "datetime.replace", "type.__new__"),
}
"""Functions written in C that look at each byte once or twice, never again and again."""


@pytest.mark.parametrize("crafted", CRAFTED.values(), ids=CRAFTED.keys())
def test_no_body_costs_more_than_a_few_passes_over_its_bytes(crafted: Callable[[int], bytes]) -> None:
    called = calls(partial(validator("post_log").validate, [crafted(2_000)]))
    assert sum(called.values()) < 200
    assert {name for name in called if "." in name} <= ONE_PASS


@given(
    text=st.recursive(
        st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b":", b",", b'"metrics":', b"1e999", b"-", b"\xff", b" "])
        | st.binary(max_size=4),
        lambda parts: st.lists(parts, max_size=8).map(b"".join),
    ),
    at=st.integers(0, 400),
)
@pytest.mark.parametrize("name", ["post_log", "scrape_request_log", "affiliate_order"])
def test_nothing_but_a_rejection_comes_of_a_body_that_is_spoiled_anywhere(name: str, text: bytes, at: int) -> None:
    good = Simulator(seed=1).event(name)
    at %= len(good)
    for spoiled in (text, good[:at] + text, good[:at] + text + good[at:], good[:-1] + b', "new": ' + text + b"}"):
        admitted = Validator(EVENT_TYPES[name], Bounds()).validate([good, spoiled])
        assert len(admitted.rows) + len(admitted.rejected) == 2
        assert all(isinstance(why, Rejection) and why.detail for _, why in admitted.rejected)


def test_no_word_of_a_payload_is_in_a_detail() -> None:
    secret = re.compile("s3cret|23456|000000")
    names = [each.name for each in msgspec.structs.fields(EVENT_TYPES["scrape_request_log"].struct)]
    good = {**json.loads(Simulator(seed=1).event("scrape_request_log")), "event_timestamp": "2026-01-15 09:30:00"}
    values: list[Any] = ["s3cret", {"s3cret": "s3cret"}, ["s3cret"], 123456789, -123456789, 10**30, 1.23456789, None]
    bodies = [json.dumps({**good, name: value}).encode() for name in names for value in values]
    bodies += [body[:-1] + b', "s3cret": 123456789}' for body in bodies]
    bodies += [body[:-1] + b', "s3cret": 1, "s3cret": "s3cret"}' for body in bodies]
    bodies += [body[:at] for body in bodies[:3] for at in range(0, len(body), 7)]
    bodies += [
        body.replace(b"s3cret", b"s3cret" + odd) for odd in (b"\xff", b"\n", b"\\q", b'"') for body in bodies[:50]
    ]
    rejected = [why for _, why in validator("scrape_request_log").validate(bodies).rejected]
    assert len(rejected) > len(bodies) / 2
    assert [why.detail for why in rejected if secret.search(why.detail)] == []


def test_a_rejection_keeps_nothing_of_its_batch_in_memory() -> None:
    bodies = [body(), b"{", b"\xff", b"[]", body(event_id="none"), b"x" * (Bounds().body_bytes + 1)]
    posts = validator("post_log")
    kept = [posts.validate(bodies) for _ in range(3)]
    gc.collect()
    gc.disable()
    try:
        kept += [posts.validate(bodies) for _ in range(3)]
        held = gc.collect()
    finally:
        gc.enable()
    assert all(len(each.rejected) == 5 for each in kept)
    assert held == 0, "an exception whose traceback is kept holds the frame that has the bodies"
