import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ingest_service.admission import Admission, Bounds
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.publisher.payload import NotOfItsType, record_of
from ingest_service.simulator import Simulator

PROFILE = {"source": "graphapi", "platform": "INSTAGRAM", "profile_id": "7"}


def fields_of(event_type: str, event: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(record_of(event_type, event).body)
    return fields


@pytest.mark.parametrize("name", list(EVENT_TYPES))
def test_the_service_admits_what_is_built_of_every_type(name: str) -> None:
    event = msgspec.json.decode(Simulator(seed=3).event(name))
    del event["event_id"], event["event_timestamp"]
    record = record_of(name, event)
    assert record.routing_key == EVENT_TYPES[name].routing_key
    assert not Admission(EVENT_TYPES[name], Bounds()).admit([record.body]).rejected
    assert event.items() <= msgspec.json.decode(record.body).items()


def test_event_id_and_time_are_filled_in_when_absent_and_kept_when_given() -> None:
    before = datetime.now(UTC)
    made = fields_of("profile_log", {**PROFILE, "event_id": None})
    assert UUID(made["event_id"]).version == 4
    assert before <= datetime.fromisoformat(made["event_timestamp"]) <= datetime.now(UTC)
    given = {"event_id": made["event_id"], "event_timestamp": "2026-01-15 09:30:00"}
    assert given.items() <= fields_of("profile_log", {**PROFILE, **given}).items()


@pytest.mark.parametrize(
    ("event", "handle"),
    [
        ({"platform": "YOUTUBE", "handle": "other", "dimensions": {"handle": "third"}}, "7"),
        ({"dimensions": {"handle": "creator"}}, "creator"),
        ({"handle": "given", "dimensions": {"handle": "creator"}}, "given"),
        ({"dimensions": {"handle": 5}}, None),
        ({}, None),
    ],
)
def test_the_handle_is_the_profile_id_on_youtube_and_the_dimension_elsewhere(
    event: Mapping[str, Any], handle: str | None
) -> None:
    assert fields_of("profile_log", {**PROFILE, **event})["handle"] == handle


def test_a_type_without_a_handle_gets_none() -> None:
    assert "handle" not in fields_of("order_log", {**PROFILE, "platform_order_id": "1", "store": "s"})


def test_fields_that_the_contract_does_not_know_are_sent() -> None:
    assert fields_of("profile_log", {**PROFILE, "retry_count": 3})["retry_count"] == 3


class Odd(dict[str, Any]):
    def __iter__(self) -> Iterator[str]:
        raise LookupError("s3cret")

    def keys(self) -> Any:
        raise LookupError("s3cret")


@pytest.mark.parametrize(
    ("event_type", "event", "reason"),
    [
        ("story_log", PROFILE, "there is no event type 'story_log'"),
        (["profile_log"], PROFILE, "not a mapping of JSON values"),
        ("profile_log", {"source": "s", "platform": "p"}, "`profile_id`"),
        ("profile_log", {**PROFILE, "profile_id": 7}, "Expected `str`, got `int` - at `$.profile_id`"),
        ("profile_log", {**PROFILE, "metrics": []}, "Expected `object`, got `array` - at `$.metrics`"),
        ("profile_log", {**PROFILE, "event_id": "x"}, "UUID"),
        ("profile_log", {**PROFILE, "profile_id": "\ud800"}, "not valid Unicode"),
        ("profile_log", {**PROFILE, "dimensions": {"bio": object()}}, "not a mapping of JSON values"),
        ("profile_log", {**PROFILE, "dimensions": {"bio": "b" * 2**22}}, "too_large"),
        ("profile_log", None, "not a mapping of JSON values"),
        ("profile_log", Odd(PROFILE), "not a mapping of JSON values: LookupError"),
        ("sentiment_log", {**PROFILE, "shortcode": "c", "comment_id": "1", "sentiment": "s", "score": 2}, "$.score"),
        (
            "sentiment_log",
            {**PROFILE, "shortcode": "c", "comment_id": "1", "sentiment": "s", "score": math.nan},
            "$.score",
        ),
    ],
)
def test_what_cannot_be_of_its_type_is_refused_with_the_reason_and_no_value(
    event_type: str, event: Mapping[str, Any], reason: str
) -> None:
    with pytest.raises(NotOfItsType) as refused:
        record_of(event_type, event)
    assert reason in str(refused.value)
    assert "s3cret" not in str(refused.value)
