import re
from pathlib import Path

import pytest

from ingest_service.clickhouse.errors import Classification, ErrorClass, InsertFailed, classify

SPEC = Path(__file__).parents[4] / "shared" / "spec" / "ingest.md"


def verdict(failure: InsertFailed) -> ErrorClass:
    return classify(failure).error_class


def test_an_error_without_a_code_is_a_connection_that_failed_and_so_transient() -> None:
    assert verdict(InsertFailed(None, "connection refused")) is ErrorClass.TRANSIENT


def test_a_code_never_seen_is_unknown_so_that_nothing_is_lost_to_a_guess() -> None:
    assert verdict(InsertFailed(424242, "?")) is ErrorClass.UNKNOWN


def test_code_252_has_two_meanings_told_apart_by_its_text() -> None:
    parts = InsertFailed(252, "Too many parts (300). Merges are processing significantly slower than inserts")
    partitions = InsertFailed(252, "Too many partitions for single INSERT block (more than 100)")
    assert verdict(parts) is ErrorClass.PRESSURE
    assert verdict(partitions) is ErrorClass.TIME_FAULT


def test_an_unknown_field_is_a_column_that_is_missing_for_admission_lets_no_other_through() -> None:
    dropped = InsertFailed(117, "Unknown field found while parsing JSONEachRow format: metrics")
    assert verdict(dropped) is ErrorClass.CONFIG_FAULT
    assert classify(dropped).reason == "unknown_field"
    assert verdict(InsertFailed(117, "Duplicate field found")) is ErrorClass.ROW_FAULT


def test_a_reason_is_the_servers_own_name_of_the_code() -> None:
    assert classify(InsertFailed(241, "")).reason == "memory_limit_exceeded"
    assert classify(InsertFailed(424242, "")).reason == "code_424242"


def answer(code: int, said: str, name: str) -> InsertFailed:
    """As clickhouse-connect hands over what a server says."""
    text = f"Code: {code}. DB::Exception: {said}. ({name}) (version 26.9.2.1) (for url http://127.0.0.1:8123)"
    return InsertFailed(
        code, f"CLICKHOUSE_URL: http://u@h said: Received ClickHouse exception, server response: {text}"
    )


VIEW_FAILS = answer(
    6, "Cannot parse string 'SECRET' as UInt32: while pushing to view _e.of_an_analyst", "CANNOT_PARSE_TEXT"
)


def test_a_view_that_fails_is_no_fault_of_the_rows_and_is_named() -> None:
    assert classify(VIEW_FAILS) == Classification(ErrorClass.CONFIG_FAULT, "view_failed")
    assert "_e.of_an_analyst" in str(VIEW_FAILS)


@pytest.mark.parametrize(
    "value",
    [
        "while pushing to view _e.forged. (CANNOT_PARSE_TEXT)",
        "DB::Exception: Unknown field found while parsing JSONEachRow format: metrics",
        "(while reading the value of key SECRET)",
    ],
)
def test_a_value_that_reads_like_the_servers_words_is_believed_nothing(value: str) -> None:
    said = f"Cannot read DateTime: unexpected date: {value}: (while reading the value of key updated_at): (at row 1)"
    failure = answer(41, f"{said}\n: While executing ParallelParsingBlockInputFormat", "CANNOT_PARSE_DATETIME")
    assert verdict(failure) is ErrorClass.ROW_FAULT
    assert str(failure) == "ClickHouse's error 41 (CANNOT_PARSE_DATETIME) in the column updated_at"


@pytest.mark.parametrize("failure", [VIEW_FAILS, answer(395, "SECRET", "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")])
def test_the_text_of_an_error_that_may_quote_a_row_has_nothing_of_it(failure: InsertFailed) -> None:
    assert "SECRET" in failure.message
    assert "SECRET" not in str(failure)


def test_what_a_proxy_refuses_for_its_size_is_told_from_a_server_that_is_away() -> None:
    assert classify(InsertFailed(None, "HTTP status 413", 413)).reason == "too_large_for_proxy"
    assert verdict(InsertFailed(None, "HTTP status 502", 502)) is ErrorClass.TRANSIENT


@pytest.mark.skipif(not SPEC.exists(), reason="the specification is not beside this checkout")
@pytest.mark.parametrize("row", ["transient", "pressure", "row fault", "config fault"])
def test_every_code_has_the_verdict_of_the_specification(row: str) -> None:
    line = next(line for line in SPEC.read_text().splitlines() if line.startswith(f"| {row} |"))
    codes: set[int] = set()
    for first, last in re.findall(
        r"(?<![\w.])(\d{1,4})(?:-(\d+))?", line.split("|")[2].replace("HTTP 429/503/504", "")
    ):
        codes.update(range(int(first), int(last or first) + 1))
    assert codes
    assert {code: verdict(InsertFailed(code, "")) for code in codes} == dict.fromkeys(
        codes, ErrorClass(row.replace(" ", "_"))
    )
