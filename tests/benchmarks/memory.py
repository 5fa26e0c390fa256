"""How much memory the service and the archiver take for large bodies: `python -m tests.benchmarks.memory`.

Bodies of 1 MiB come while inserts are refused, then may be stored; letters of 16 MiB wait in an error queue.
"""

import asyncio
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.stack import Stack
from ingest_service.broker.publisher import Publisher
from ingest_service.commands.simulator import Simulator
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.running import GCC_INGEST, Service, eventually, query, run

_MIB = 2**20
_AT_ONCE = 8
_REFUSED_SECONDS = 60
WITH_ROOM = [name for name, each in EVENT_TYPES.items() if "dimensions" in each.struct.__struct_fields__]
"""The event types whose events can be made large."""

Environment = Mapping[str, str]


@click.command()
@click.option("--bodies", default=5_000, show_default=True, help="Of 1 MiB, on three event types.")
@click.option("--letters", default=200, show_default=True, help="Of 16 MiB, in one error queue.")
def main(bodies: int, letters: int) -> None:
    """Measure peak memory with large messages."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), Ports.free(), fast=True)
        environment = {**stack.start(print), "GCC_ARCHIVE_URL": f"{folder}/archive"}
        try:
            assert run(environment, "init").returncode == 0
            _archiver(environment, letters)
            if bodies:
                _service(environment, Path(folder), WITH_ROOM[:3], bodies)
                _service(environment, Path(folder), WITH_ROOM, bodies // 5)
        finally:
            stack.stop()


def _service(environment: Environment, folder: Path, types: Sequence[str], bodies: int) -> None:
    count = asyncio.run(_publish(environment["AMQP_URL"], types, bodies))
    for name in types:
        query(
            environment["CLICKHOUSE_URL"], f"RENAME TABLE {EVENT_TYPES[name].table} TO {EVENT_TYPES[name].table}_away"
        )
    with Service(environment, folder / "service.log") as service:
        eventually(lambda: service.get("/heartbeat")[0] == 200)
        eventually(lambda: all(service.status(name)["held_bytes"] for name in types), 60, "something is held")
        time.sleep(_REFUSED_SECONDS)  # how long inserts are refused is what is measured
        held = sum(service.status(name)["held_bytes"] for name in types)
        given_back = sum(service.status(name)["given_back"] for name in types)
        for name in types:
            table = EVENT_TYPES[name].table
            query(environment["CLICKHOUSE_URL"], f"RENAME TABLE {table}_away TO {table}")
        began = time.monotonic()
        eventually(lambda: _landed(environment, types) == count, 900, "all land")
        seconds = time.monotonic() - began
        peak = _peak(service.process.pid)
        assert service.terminate() == 0
    for name in types:
        query(environment["CLICKHOUSE_URL"], f"TRUNCATE TABLE {EVENT_TYPES[name].table}")
    click.echo(
        f"service: {count} bodies of 1 MiB on {len(types)} types, inserts refused for {_REFUSED_SECONDS} s: "
        f"{held / _MIB:.0f} MiB held, {given_back} given back, peak {peak:.0f} MiB; all landed {seconds:.0f} s later"
    )


def _archiver(environment: Environment, letters: int) -> None:
    asyncio.run(_put(environment["AMQP_URL"], letters))
    peak = 0.0
    with subprocess.Popen(
        [GCC_INGEST, "archive", "--once"], env={**os.environ, **environment}, stdout=subprocess.PIPE
    ) as process:
        while process.poll() is None:
            with suppress(FileNotFoundError, ProcessLookupError):
                peak = max(peak, _peak(process.pid))
            time.sleep(0.1)
        assert process.stdout is not None
        said = process.stdout.read().decode().strip()
    assert process.returncode == 0
    click.echo(f"archiver: {said}, of 16 MiB each: peak {peak:.0f} MiB")


async def _publish(url: str, types: Sequence[str], bodies: int) -> int:
    simulator, padding, count = Simulator(seed=1), "x" * _MIB, 0
    async with Publisher(url, "memory benchmark") as publisher:
        while count < bodies:
            for name in types:
                events = [json.loads(simulator.event(name)) for _ in range(_AT_ONCE)]
                large = [json.dumps({**event, "dimensions": {"bio": padding}}).encode() for event in events]
                await publisher.publish(EVENT_TYPES[name].routing_key, large)
                count += _AT_ONCE
    return count


async def _put(url: str, letters: int) -> None:
    queue = EVENT_TYPES["order_log"].error_queue
    async with Publisher(url, "memory benchmark") as publisher:
        for number in range(letters):
            await publisher.publish(queue, [b"%d " % number + b"x" * 16 * _MIB], [{"x-gcc-reason": "too_large"}])


def _landed(environment: Environment, types: Sequence[str]) -> int:
    tables = (EVENT_TYPES[name].table for name in types)
    return sum(int(query(environment["CLICKHOUSE_URL"], f"SELECT count() FROM {table} FINAL")) for table in tables)


def _peak(pid: int) -> float:
    """The most memory a process has had, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main()
