"""A long outage, scaled down, and in its real length: more comes than the prefetch while ClickHouse is away."""

import os
import re
import time
from pathlib import Path

import pytest

from ingest_service.events.registry import EVENT_TYPES
from tests.chaos.accounting import Accounting, drained
from tests.chaos.field import Field, opened
from tests.chaos.publishing import TYPES, Publishing
from tests.harness.running import eventually

_PREFETCH = 2_000
_MEGABYTES = 40
"""More than the messages held can take: three prefetches of about 450 bytes, and what Python makes of them."""

SECONDS = float(os.environ.get("GCC_OUTAGE_SECONDS", "0"))
RATE = 1_000
_PRODUCTION = {
    "GCC_FLUSH_SECONDS": "5",
    "GCC_FLUSH_ROWS": "10000",
    "GCC_PREFETCH": "20000",
    "GCC_RETRY_FIRST_SECONDS": "0.2",
    "GCC_RETRY_MOST_SECONDS": "30",
    "GCC_INSERT_TIMEOUT_SECONDS": "120",
}
"""The defaults."""


def resident_megabytes(field: Field) -> float:
    status = Path(f"/proc/{field.service.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def in_flight(field: Field) -> int:
    return sum(field.service.status(name)["in_flight"] for name in TYPES)


def test_while_clickhouse_is_away_memory_does_not_grow_and_nothing_is_lost_or_dead_lettered(tmp_path: Path) -> None:
    with opened(tmp_path) as field, Publishing(field.environment["AMQP_URL"], seed=1, bad_share=0) as publishing:
        accounting = Accounting(field, publishing)
        publishing.go()
        eventually(lambda: len(publishing.confirmed) > 500)
        before = resident_megabytes(field)
        field.kill(field.clickhouse)
        eventually(lambda: in_flight(field) >= len(TYPES) * _PREFETCH, 90, "the prefetch is full")
        sent = len(publishing.confirmed)
        eventually(lambda: len(publishing.confirmed) > sent + 1_000, 60, "and no more comes")
        held, full = in_flight(field), resident_megabytes(field)
        eventually(lambda: len(publishing.confirmed) > sent + 4_000, 60, "the broker takes more meanwhile")
        assert in_flight(field) == held < 1.1 * len(TYPES) * _PREFETCH
        assert resident_megabytes(field) < full + 5
        assert full < before + _MEGABYTES
        field.start(field.clickhouse)
        publishing.rest()
        drained(field)
        found = accounting.account()
    assert (found.lost, found.duplicated, found.wrong, found.dead_lettered) == (0, 0, 0, 0)
    assert found.landed == found.confirmed > len(EVENT_TYPES)
    print(f"{found.confirmed} messages; {before:.0f} MB before, {full:.0f} MB with the prefetch full")


@pytest.mark.skipif(not SECONDS, reason="the full form is `make chaos`")
def test_an_outage_of_real_length_loses_nothing_and_is_made_up_for(tmp_path: Path) -> None:
    with (
        opened(tmp_path, **_PRODUCTION) as field,
        Publishing(field.environment["AMQP_URL"], seed=2, bad_share=0.001, rate=RATE) as publishing,
    ):
        accounting = Accounting(field, publishing)
        publishing.go()
        eventually(lambda: len(publishing.confirmed) > 5 * RATE, 60)
        field.kill(field.clickhouse)
        began, most = time.monotonic(), 0.0
        while time.monotonic() < began + SECONDS:
            time.sleep(10)  # the outage's length is what is tested
            most = max(most, resident_megabytes(field))
        waiting = len(publishing.confirmed)
        field.start(field.clickhouse)
        publishing.rest()
        healed = time.monotonic()
        drained(field, seconds=1_200)
        seconds = time.monotonic() - healed
        given_back = sum(field.service.status(name)["given_back"] for name in TYPES)
        found = accounting.account()
    assert (found.lost, found.duplicated, found.wrong) == (0, 0, 0)
    print(
        f"ClickHouse away for {SECONDS:.0f} s: {waiting} messages confirmed meanwhile, {most:.0f} MB of memory at the "
        f"most, {given_back} given back in time, all settled {seconds:.0f} s after it was back: {found}"
    )
