"""What the checks conclude of what was measured."""

from datetime import UTC, datetime, timedelta

from gcc_platform.raw_checks import dead_letters, freshness, parts, queues, recent_rows, schema
from gcc_platform.raw_checks.parts import Parts
from gcc_platform.raw_checks.queues import Queues
from gcc_platform.raw_checks.recent_rows import RecentRows
from ingest_service.broker.queue_depth import QueueState

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def test_a_renamed_column_is_named_with_both_names() -> None:
    found = schema.check({"id": "UUID", "dims": "String"}, {"id": "UUID", "dimensions": "String"})
    assert not found.passed
    assert found.is_error
    assert found.description == "missing: dimensions (String); not in the contract: dims (String)"


def test_a_retyped_column_is_named_with_both_types_and_an_added_one_does_no_harm() -> None:
    found = schema.check({"id": "String"}, {"id": "UUID"})
    assert (found.passed, found.description) == (False, "retyped: id is String instead of UUID")
    assert schema.check({"id": "UUID", "more": "String"}, {"id": "UUID"}).passed


def test_rows_without_a_newest_one_fail() -> None:
    assert not freshness.check(17_500, None, timedelta(minutes=30), NOW).passed
    assert freshness.check(0, None, timedelta(minutes=30), NOW).passed


def test_freshness_fails_beyond_its_limit_and_never_without_one() -> None:
    old = NOW - timedelta(minutes=31)
    assert not freshness.check(1, old, timedelta(minutes=30), NOW).passed
    assert freshness.check(1, old, timedelta(minutes=31), NOW).passed
    assert freshness.check(1, old, None, NOW).passed


def test_duplicates_are_those_that_landed_and_are_no_events_of_their_own() -> None:
    found = recent_rows.check_duplicates(RecentRows(9_000, 3_000, 0, 0.0))
    assert not found.passed
    assert found.numbers["share"] == 0.6667
    assert recent_rows.check_duplicates(RecentRows(10_000, 9_900, 0, 0.0)).passed  # 1 %
    assert recent_rows.check_duplicates(RecentRows(10_000, 10_030, 0, 0.0)).passed  # an approximation from above
    assert recent_rows.check_duplicates(RecentRows(100, 50, 0, 0.0)).passed  # a crash of the service


def test_one_event_from_the_future_fails() -> None:
    found = recent_rows.check_event_times(RecentRows(1_000, 1_000, 1, 72_000.0))
    assert not found.passed
    assert found.description.endswith("the most 72000 s")


def test_dead_letters_are_shown_by_reason_and_page_above_five_percent() -> None:
    few = dead_letters.check({"not_json": 2, "invalid_field": 1}, 997)
    assert (few.passed, few.is_error) == (False, False)
    assert few.description == (
        "3 dead letters in the last 15 minutes (0.3% of the messages): 1 invalid_field, 2 not_json"
    )
    assert dead_letters.check({"not_json": 6}, 94).is_error
    assert dead_letters.check({}, 0).passed


def test_parts_fail_long_before_inserts_are_delayed() -> None:
    assert parts.check(Parts(300, 900, 1)).passed
    assert not parts.check(Parts(301, 301, 1)).passed


def test_a_queue_fails_if_it_is_missing_unknown_or_not_consumed() -> None:
    good = Queues({"q": QueueState(5, 1), "error.q": QueueState(2, 0)})
    assert queues.check(good, "q", "error.q").description == (
        "5 messages wait, 1 consumers; 2 dead letters wait for the archive"
    )
    assert queues.check(good, "q", "error.q").passed
    assert not queues.check(Queues({"q": QueueState(5, 0)}), "q", "error.q").passed
    assert "gcc-ingest init" in queues.check(Queues({"q": None}), "q", "error.q").description
    assert queues.check(Queues({}, "no broker answers"), "q", "error.q").description == "no broker answers"
