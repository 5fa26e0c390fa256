import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest_service.admission import Admission, Bounds, Reason, Rejected
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.simulator import Simulator

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


def admission(name: str) -> Admission:
    return Admission(EVENT_TYPES[name], Bounds(), lambda: NOW)


def admit(body: bytes, name: str = "post_log") -> bytes:
    """The row of a body. Raises Rejected."""
    admitted = admission(name).admit([body])
    for _, rejected in admitted.rejected:
        raise rejected
    (row,) = admitted.rows.rows
    return row


def body(**changes: Any) -> bytes:
    return json.dumps({**POST, **changes}, ensure_ascii=False).encode()


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_what_the_simulator_makes_is_admitted_as_the_very_bytes_that_came(name: str) -> None:
    simulator = Simulator(seed=1)
    events = [simulator.event(name) for _ in range(200)]
    admitted = Admission(EVENT_TYPES[name], Bounds()).admit(events)
    assert admitted.rows.rows == events
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
    admitted = admission("post_log").admit([body(), b"{", body(shortcode="other"), b"", body()])
    assert admitted.rows.positions == [0, 2, 4]
    assert [position for position, _ in admitted.rejected] == [1, 3]
    assert [moment.replace(tzinfo=None) for moment in admitted.rows.times] == [datetime(2026, 1, 15, 9, 30)] * 3


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
    assert raised.value.reason is reason


def test_an_unsigned_number_beyond_64_bits_is_rejected_for_the_table_would_wrap_it() -> None:
    event = json.loads(Simulator(seed=1).event("scrape_request_log")) | {"event_timestamp": "2026-01-15 09:30:00"}
    admit(json.dumps(event | {"scl_id": 2**64 - 1}).encode(), "scrape_request_log")
    with pytest.raises(Rejected, match="scl_id"):
        admit(json.dumps(event | {"scl_id": 2**64}).encode(), "scrape_request_log")
