"""How an event's values are encoded in the body of a message."""

import json
import math
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_service.commands.simulator import Simulator
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.events.validation import Bounds, Validator
from ingest_service.publisher.payload import InvalidEvent, record_of

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
    assert not Validator(EVENT_TYPES[name], Bounds()).validate([record.body]).rejected
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


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Platform(Enum):
    INSTAGRAM = "INSTAGRAM"
    ODD = b"odd"


class Level(IntEnum):
    HIGH = 3


TEXTS = st.text(st.characters(exclude_categories=[]), max_size=8)
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.decimals(),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-100, max_value=100),
    TEXTS,
    TEXTS.map(Text),
    st.integers().map(Whole),
    st.floats().map(Real),
    st.sampled_from([*Platform, *Level]),
    st.binary(max_size=4),
    st.binary(max_size=4).map(bytearray),
    st.uuids(),
    st.datetimes(timezones=st.none() | st.timezones() | st.just(timezone(timedelta(hours=1, seconds=7)))),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.complex_numbers(),
    st.just(...),
    st.just(object()),
    st.frozensets(st.integers(), max_size=2),
    st.just(msgspec.Raw(b'{"a":1}')),
)
VALUES = st.recursive(
    ATOMS,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3),
        st.lists(inside, max_size=3).map(tuple),
        st.dictionaries(TEXTS, inside, max_size=3),
        st.dictionaries(TEXTS, inside, max_size=3).map(MappingProxyType),
        st.dictionaries(st.one_of(TEXTS.map(Text), st.integers(), st.none(), st.uuids()), inside, max_size=2),
    ),
    max_leaves=6,
)


def means(value: Any, arrived: Any) -> bool:  # noqa: C901, PLR0911  # one branch per type
    """Whether a JSON-decoded value, with every number as Decimal, equals the original."""
    if value is None or isinstance(value, bool):
        return arrived is value
    if isinstance(value, Enum):
        return means(value.value, arrived)
    if isinstance(value, float):
        return isinstance(arrived, Decimal) and float(arrived) == value
    if isinstance(value, int | Decimal):
        return isinstance(arrived, Decimal) and arrived.as_tuple() == Decimal(value).as_tuple()
    if isinstance(value, str):
        return type(arrived) is str and arrived == value
    if isinstance(value, UUID):
        return UUID(arrived) == value
    if isinstance(value, datetime):
        again = datetime.fromisoformat(arrived)
        return again == value and again.utcoffset() == value.utcoffset()
    if isinstance(value, date | time):
        return type(value).fromisoformat(arrived) == value
    if isinstance(value, list | tuple):
        return type(arrived) is list and len(arrived) == len(value) and all(map(means, value, arrived))
    if isinstance(value, Mapping):
        return (
            type(arrived) is dict and arrived.keys() == value.keys() and all(means(value[k], arrived[k]) for k in value)
        )
    return False


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(metric=VALUES, dimensions=st.dictionaries(TEXTS, VALUES, max_size=3), field=VALUES)
def test_every_value_arrives_as_it_was_given_or_the_event_is_refused(
    metric: Any, dimensions: dict[str, Any], field: Any
) -> None:
    event = {**PROFILE, "metrics": {"m": metric}, "dimensions": dimensions, "unknown": field}
    try:
        body = record_of("profile_log", event).body
    except InvalidEvent:
        return
    arrived = json.loads(body, parse_float=Decimal, parse_int=Decimal, parse_constant=refuse)
    for name, value in event.items():
        assert means(value, arrived[name])


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@given(
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
        st.uuids(),
        st.datetimes(),
        st.decimals(allow_nan=False, allow_infinity=False, places=3),
    )
)
def test_values_that_crawlers_have_are_not_refused(value: Any) -> None:
    event = {**PROFILE, "metrics": {"m": value}, "dimensions": {"d": [value, {"e": value}]}}
    assert means(
        value, json.loads(record_of("profile_log", event).body, parse_float=Decimal, parse_int=Decimal)["metrics"]["m"]
    )


@pytest.mark.parametrize(
    "huge",
    [
        lambda: {"bio": "b" * 2**25},
        lambda: {"bio": ["b" * 2**22] * 2**16},
        lambda: {"a": {"b": [{"c": "ü" * 2**24}]}},
        lambda: dict.fromkeys(map(str, range(2**20)), 1),
        lambda: {"b" * 2**25: 1},
        lambda: {"numbers": [1] * 2**22},
    ],
)
def test_an_enormous_event_is_refused_before_it_is_encoded(huge: Callable[[], dict[str, Any]]) -> None:
    event = {**PROFILE, "dimensions": huge()}
    tracemalloc.start()
    try:
        with pytest.raises(InvalidEvent, match="too_large: more than 4194304 bytes"):
            record_of("profile_log", event)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_how_large_an_event_may_be_is_exact() -> None:
    event = {**PROFILE, "event_id": str(UUID(int=1)), "event_timestamp": "2026-01-15 09:30:00", "metrics": {"a": 1.5}}
    size = len(record_of("profile_log", event).body)
    assert len(record_of("profile_log", event, size).body) == size
    with pytest.raises(InvalidEvent, match="too_large"):
        record_of("profile_log", event, size - 1)


class Odd(dict[str, Any]):
    def __iter__(self) -> Iterator[str]:
        raise LookupError("s3cret")

    def keys(self) -> Any:
        raise LookupError("s3cret")


@pytest.mark.parametrize(
    ("event_type", "event", "reason"),
    [
        ("story_log", PROFILE, "unknown event type 'story_log'"),
        (["profile_log"], PROFILE, "not a mapping of JSON values"),
        ("profile_log", {"source": "s", "platform": "p"}, "`profile_id`"),
        ("profile_log", {**PROFILE, "profile_id": 7}, "Expected `str`, got `int` - at `$.profile_id`"),
        ("profile_log", {**PROFILE, "metrics": []}, "Expected `object`, got `array` - at `$.metrics`"),
        ("profile_log", {**PROFILE, "event_id": "x"}, "UUID"),
        ("profile_log", {**PROFILE, "profile_id": "\ud800"}, "not valid Unicode"),
        (
            "profile_log",
            {**PROFILE, "dimensions": {"bio": object()}},
            "a value of type object is not supported by JSON - at `$.dimensions.bio`",
        ),
        ("profile_log", {**PROFILE, "dimensions": {"bio": "b" * 2**22}}, "too_large: more than 4194304 bytes"),
        (
            "profile_log",
            {**PROFILE, "metrics": {"rate": math.nan}},
            "NaN and Infinity are not JSON numbers - at `$.metrics.rate`",
        ),
        ("profile_log", {**PROFILE, "metrics": {"rate": Decimal("sNaN")}}, "at `$.metrics.rate`"),
        (
            "profile_log",
            {**PROFILE, "dimensions": {"a": {"s3cret": [math.inf]}}},
            "JSON numbers - at `$.dimensions.a[...][...]`",
        ),
        ("profile_log", {**PROFILE, "dimensions": {"a": b"s3cret"}}, "of type bytes is not supported"),
        ("profile_log", {**PROFILE, "dimensions": {"a": {"s3cret"}}}, "of type set is not supported"),
        ("profile_log", {**PROFILE, "dimensions": {7: "a"}}, "a key of type int, JSON keys are strings"),
        ("profile_log", {**PROFILE, 7: "a"}, "a key of type int, JSON keys are strings - at `$`"),
        ("profile_log", None, "not a mapping of JSON values"),
        ("profile_log", Odd(PROFILE), "not a mapping of JSON values: LookupError"),
        ("sentiment_log", {**PROFILE, "shortcode": "c", "comment_id": "1", "sentiment": "s", "score": 2}, "$.score"),
        (
            "sentiment_log",
            {**PROFILE, "shortcode": "c", "comment_id": "1", "sentiment": "s", "score": math.nan},
            "`$.score`",
        ),
    ],
)
def test_what_cannot_be_of_its_type_is_refused_with_the_reason_and_no_value(
    event_type: str, event: Mapping[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidEvent) as refused:
        record_of(event_type, event)
    assert reason in str(refused.value)
    assert "s3cret" not in str(refused.value)
