import json
from typing import Any

import pytest

from ingest_service.admission import Admission, Reason, Rejected
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
post_log = Admission(EVENT_TYPES["post_log"])


def body(**changes: Any) -> bytes:
    return json.dumps({**POST, **changes}, ensure_ascii=False).encode()


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_what_the_simulator_makes_is_admitted_as_the_very_bytes_that_came(name: str) -> None:
    simulator, admission = Simulator(seed=1), Admission(EVENT_TYPES[name])
    for _ in range(200):
        event = simulator.event(name)
        assert admission.admit(event) == event


@pytest.mark.parametrize("moment", ["2026-01-15 09:30:00", "2026-01-15T09:30:00.123456Z", "2026-01-15T09:30:00+05:30"])
def test_both_notations_of_time_are_admitted(moment: str) -> None:
    admitted = body(event_timestamp=moment)
    assert post_log.admit(admitted) == admitted


def test_unknown_fields_are_kept_in_extra_with_their_bytes_unchanged() -> None:
    unknown = b'{"a": 123456789012345678901234567890, "b" : [1.50, null]}'
    admitted = json.loads(post_log.admit(body()[:-1] + b', "new": ' + unknown + b', "extra": "taken"}'))
    assert {name: admitted[name] for name in POST} == POST
    assert admitted["extra"] == {"new": json.loads(unknown), "extra": "taken"}
    assert unknown in post_log.admit(body()[:-1] + b', "new": ' + unknown + b"}")


@pytest.mark.parametrize(
    ("rejected", "reason", "detail"),
    [
        (b"", Reason.NOT_JSON, "truncated"),
        (b"hello", Reason.NOT_JSON, "malformed"),
        (b"[1]", Reason.NOT_JSON, "object"),
        (b"\xff\xfe", Reason.NOT_JSON, "malformed"),
        (body()[:-3], Reason.NOT_JSON, "truncated"),
        (body(platform="X").replace(b'"X"', b'"\xff"'), Reason.NOT_JSON, "utf-8"),
        (body(event_id="no-uuid"), Reason.INVALID_FIELD, r"\$.event_id"),
        (body(shortcode=None), Reason.INVALID_FIELD, r"\$.shortcode"),
        (body(metrics=None), Reason.INVALID_FIELD, r"\$.metrics"),
        (body(metrics=[1]), Reason.INVALID_FIELD, r"\$.metrics"),
        (body(platform=7, new=1), Reason.INVALID_FIELD, r"\$.platform"),
        (body(new=1)[:-1] + b', "new": 2}', Reason.INVALID_FIELD, "'new' is there more than once"),
        (b'{"new": 1}', Reason.INVALID_FIELD, "missing required field"),
        (body(event_timestamp=1768469400), Reason.INVALID_FIELD, r"\$.event_timestamp"),
        (body(event_timestamp="0001-01-01 00:00:00"), Reason.IMPLAUSIBLE_TIME, "1970"),
        (body(event_timestamp="2200-01-01 00:00:00"), Reason.IMPLAUSIBLE_TIME, "2199"),
    ],
)
def test_a_body_that_can_never_be_stored_is_rejected_with_reason_and_place(
    rejected: bytes, reason: Reason, detail: str
) -> None:
    with pytest.raises(Rejected, match=detail) as raised:
        post_log.admit(rejected)
    assert raised.value.reason is reason
