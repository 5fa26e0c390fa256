"""Copies the wide table with dlt. It runs in an environment of dlt's own, so it imports nothing of ours.

Its address of ClickHouse, its address of PostgreSQL and its folder are arguments.
"""

import json
import sys
import time
from pathlib import Path

import dlt  # type: ignore[import-not-found]
from dlt.sources.sql_database import sql_table  # type: ignore[import-not-found]


def main() -> None:
    """Replace the table in the schema bench_dlt."""
    source, target, folder = sys.argv[1:]
    pipeline = dlt.pipeline(
        "bench", destination=dlt.destinations.postgres(target), dataset_name="bench_dlt", pipelines_dir=folder
    )
    table = sql_table(
        credentials=source,
        table="bench_sync",
        backend="pyarrow",
        chunk_size=100_000,
        reflection_level="full_with_precision",
    )
    before, began = _most_megabytes(), time.monotonic()
    pipeline.run(table, write_disposition="replace", table_name="bench_sync").raise_on_failed_jobs()
    found = {
        "seconds": time.monotonic() - began,
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
