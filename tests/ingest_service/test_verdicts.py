import re
from pathlib import Path

import pytest

from ingest_service.verdicts import InsertFailed, Verdict, meaning

SPEC = Path(__file__).parents[3] / "shared" / "spec" / "ingest.md"


def verdict(failure: InsertFailed) -> Verdict:
    return meaning(failure).verdict


def test_an_error_without_a_code_is_a_connection_that_failed_and_so_transient() -> None:
    assert verdict(InsertFailed(None, "connection refused")) is Verdict.TRANSIENT


def test_a_code_never_seen_is_unknown_so_that_nothing_is_lost_to_a_guess() -> None:
    assert verdict(InsertFailed(424242, "?")) is Verdict.UNKNOWN


def test_code_252_has_two_meanings_told_apart_by_its_text() -> None:
    parts = InsertFailed(252, "Too many parts (300). Merges are processing significantly slower than inserts")
    partitions = InsertFailed(252, "Too many partitions for single INSERT block (more than 100)")
    assert verdict(parts) is Verdict.PRESSURE
    assert verdict(partitions) is Verdict.TIME_FAULT


def test_an_unknown_field_is_a_column_that_is_missing_for_admission_lets_no_other_through() -> None:
    dropped = InsertFailed(117, "Unknown field found while parsing JSONEachRow format: metrics")
    assert verdict(dropped) is Verdict.CONFIG_FAULT
    assert meaning(dropped).reason == "unknown_field"
    assert verdict(InsertFailed(117, "Duplicate field found")) is Verdict.ROW_FAULT


def test_a_reason_is_the_servers_own_name_of_the_code() -> None:
    assert meaning(InsertFailed(241, "")).reason == "memory_limit_exceeded"
    assert meaning(InsertFailed(424242, "")).reason == "code_424242"


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
        codes, Verdict(row.replace(" ", "_"))
    )
