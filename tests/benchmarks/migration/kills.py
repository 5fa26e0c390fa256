"""The backfill, while its workers, ClickHouse and the old database are killed at random: nobody else helps."""

import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import msgspec

from tests.benchmarks.migration.progress import Reader
from tests.benchmarks.migration.servers import CLICKHOUSE, OLD, Servers
from tests.benchmarks.migration.workers import Worker, working
from tests.harness.running import eventually

WORKER = "worker"
_KINDS = (WORKER, CLICKHOUSE, OLD)
_LATEST_SECONDS = 7200


class Survived(msgspec.Struct, frozen=True):
    """A backfill under fire."""

    kills: dict[str, int]
    rows: int
    """That were brought meanwhile."""
    seconds: float
    chunks: int
    attempts: int
    """Of all chunks: those beyond one a chunk are of work that was interrupted."""
    gave_up: int
    """Workers that ended by themselves with an error: nobody would have started them again."""


def survive(servers: Servers, kills: int, seed: int, chunk_rows: int, say: Callable[[str], None]) -> Survived:
    """Bring all that is left, with so many kills of each kind, in a random order, spread over the work."""
    chance, progress = random.Random(seed), Reader(servers)
    victims = list(_KINDS) * kills
    chance.shuffle(victims)
    began, before = time.monotonic(), progress()
    killed: Counter[str] = Counter()
    gave_up = 0
    with working(servers, 2, chunk_rows) as workers:
        _wait_at_work(workers, progress)
        first = progress()
        left = first.chunks - first.done

        def has_come_to(done: int) -> bool:
            nonlocal gave_up
            now = progress()
            for worker in workers:
                if worker.process.poll():
                    say(f"  a worker gave up with exit code {worker.process.returncode}:\n{worker.last_lines}")
                    gave_up += 1
                    worker.restart()
            return now.is_done or now.done >= done

        for number, victim in enumerate(victims, 1):
            aim = first.done + left * number // (len(victims) + 2)
            eventually(partial(has_come_to, aim), _LATEST_SECONDS, "the next kill")
            time.sleep(chance.uniform(0, 1))  # anywhere in the next chunk
            if progress().is_done:
                break
            _kill(servers, workers, victim, chance)
            killed[victim] += 1
            _wait_at_work(workers, progress)
            say(
                f"  {time.monotonic() - began:,.0f} s: {victim} killed, {progress().done} of {first.chunks} chunks done"
            )
        eventually(lambda: has_come_to(first.chunks), _LATEST_SECONDS, "all chunks are done")
        for worker in workers:
            gave_up += bool(worker.process.wait(600))
    last = progress()
    return Survived(
        {kind: killed[kind] for kind in _KINDS}, last.rows - before.rows, time.monotonic() - began, last.chunks,
        last.attempts, gave_up,
    )  # fmt: skip


def _wait_at_work(workers: list[Worker], progress: Reader) -> None:
    """Until each worker has a chunk, or has found none and ended.

    One that starts while a server is away reports that and ends, as a command should.
    """
    for worker in workers:
        eventually(partial(_is_at_work, worker, progress), 600, "a worker starts")


def _is_at_work(worker: Worker, progress: Reader) -> bool:
    return progress.has_claimed(worker.process.pid) or worker.process.poll() is not None


def _kill(servers: Servers, workers: list[Worker], victim: str, chance: random.Random) -> None:
    if victim == WORKER:
        worker = chance.choice(workers)
        worker.kill()
        worker.restart()
    else:
        servers.kill(victim)
        time.sleep(chance.uniform(0, 2))  # how long it is away
        servers.start(victim)
