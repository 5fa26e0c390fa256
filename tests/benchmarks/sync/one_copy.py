"""Syncs the wide table in a process of its own, and prints the seconds, the bytes sent, and how much memory it took."""

import json
import os
import time
from pathlib import Path

from gcc_platform.resources import clickhouse, postgres
from tests.benchmarks.sync.wide_table import MART
from tests.harness import syncs


def main() -> None:
    """Sync it in full, once."""
    with (
        clickhouse.connect(os.environ["GCC_SYNC_CLICKHOUSE_URL"], {"mart": MART.name}) as source,
        postgres.connect(os.environ["POSTGRES_URL"], "bench") as target,
    ):
        before, began = _most_megabytes(), time.monotonic()
        done = syncs.run(source, target, MART, full=True)
        found = {
            "seconds": time.monotonic() - began,
            "sent_bytes": done.sent_bytes,
            "megabytes": before,
            "grown_megabytes": _most_megabytes() - before,
        }
    print(json.dumps(found))


def _most_megabytes() -> float:
    """By /proc: getrusage counts that of the process that started this one."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
