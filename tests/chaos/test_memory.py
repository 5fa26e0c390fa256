"""Large bodies come while nothing can be stored: what is held is bounded in bytes, over all types together."""

import re
from pathlib import Path

from tests.chaos.accounting import drained
from tests.chaos.events import good, publish
from tests.chaos.field import Field, opened
from tests.chaos.publishing import TYPES
from tests.harness.running import eventually

_MIB = 2**20
_HELD = 64 * _MIB
_EACH = 40
_MOST = 200
"""MiB of memory at the most: the interpreter's 75, what may be held, and the copies of what is on its way."""


def peak_megabytes(field: Field) -> float:
    """The most memory the service has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{field.service.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def held_bytes(field: Field) -> int:
    return sum(field.service.status(name)["held_bytes"] for name in TYPES)


def test_bodies_are_held_up_to_a_bound_in_bytes_of_all_types_together_and_all_land(tmp_path: Path) -> None:
    with opened(tmp_path, GCC_MAX_HELD_BYTES=str(_HELD)) as field:
        field.clickhouse_way.close()
        for name in TYPES:
            publish(field, name, good(name, _EACH, more_bytes=_MIB))
        eventually(lambda: all(field.service.status(name)["retries"] for name in TYPES), what="inserts fail")
        most = max(held_bytes(field) for _ in range(50))
        field.clickhouse_way.open()
        drained(field)
        peak = peak_megabytes(field)
        landed = [int(field.sql(f"SELECT count() FROM _e.{name}_events FINAL")) for name in TYPES]
    assert landed == [_EACH] * len(TYPES)
    assert most <= _HELD
    assert peak < _MOST
    print(f"{len(TYPES) * _EACH} bodies of 1 MiB: {most / _MIB:.0f} MiB held, {peak:.0f} MiB of memory at the most")
