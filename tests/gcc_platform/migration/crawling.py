"""Crawlers with the SDK's dual writing, which record what they committed: an oracle that neither side has made."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from gcc_platform.migration.rehearsal.log_models import PostLog, ProfileLog
from ingest_service.publisher.dual_write import Emit, Published, publish_commits
from ingest_service.publisher.legacy_writes import LegacyWrites

BOTH, EVENTS, ROWS = LegacyWrites.BOTH, LegacyWrites.EVENTS, LegacyWrites.ROWS
_ROLLED_BACK = 0.1
_PAUSE_SECONDS = 0.03


@dataclass(frozen=True)
class Snapshot:
    """What a crawler wrote, without its identity: `number` is in its metrics, and no other snapshot has it."""

    number: int
    table: str
    profile_id: str
    post_id: str | None
    at: datetime
    """In UTC."""
    followers: int
    biography: str


@dataclass
class Crawlers:
    """Threads that commit transactions of one to six snapshots, of which one in ten is rolled back."""

    url: str
    emit: Emit
    committed: list[Snapshot] = field(default_factory=list)
    rolled_back: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._engine = create_engine(self.url.replace("postgresql://", "postgresql+psycopg://"), pool_size=8)
        self._sessions = {mode: self._session_class(mode) for mode in LegacyWrites}

    @contextmanager
    def crawl(self, *modes: LegacyWrites) -> Iterator[None]:
        """A crawler of each mode, until the block ends."""
        stopped = threading.Event()
        threads = [
            threading.Thread(target=self._until, args=[mode, stopped.is_set, seed]) for seed, mode in enumerate(modes)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopped.set()
            for thread in threads:
                thread.join()

    def close(self) -> None:
        self._engine.dispose()

    def _session_class(self, mode: LegacyWrites) -> type[Session]:
        found = type(f"{mode}Session", (Session,), {})
        publish_commits(found, self.emit, zone=ZoneInfo("UTC"), writes=mode)
        return found

    def _until(self, mode: LegacyWrites, is_stopped: Callable[[], bool], seed: int) -> None:
        chance = random.Random(f"{seed}/{len(self.committed)}")
        while not is_stopped():
            snapshots = [self._snapshot(chance) for _ in range(chance.randint(1, 6))]
            rolls_back = chance.random() < _ROLLED_BACK
            self._write(mode, snapshots, rolls_back=rolls_back)
            with self._lock:
                if rolls_back:
                    self.rolled_back += len(snapshots)
                else:
                    self.committed += snapshots
            threading.Event().wait(chance.uniform(0, 2 * _PAUSE_SECONDS))

    def _write(self, mode: LegacyWrites, snapshots: Sequence[Snapshot], *, rolls_back: bool) -> None:
        with self._sessions[mode](self._engine) as session:
            session.add_all(_log(each) for each in snapshots)
            session.flush()
            if rolls_back:
                session.rollback()
            else:
                session.commit()

    def _snapshot(self, chance: random.Random) -> Snapshot:
        with self._lock:
            number = next(self._numbers)
        table = chance.choice(("profile_log", "post_log"))
        post_id = f"C{number}" if table == "post_log" else None
        now = datetime.now(UTC)
        return Snapshot(
            number, table, f"p{chance.randrange(50)}", post_id, now, chance.randrange(10**6), f"é\t\\N\n{number}"
        )


def _log(snapshot: Snapshot) -> Published:
    values: dict[str, Any] = {
        "platform": "INSTAGRAM",
        "profile_id": snapshot.profile_id,
        "source": "way_back",
        "timestamp": snapshot.at.replace(tzinfo=None),
        "metrics": [{"key": "number", "value": snapshot.number}, {"key": "followers", "value": snapshot.followers}],
        "dimensions": [{"key": "biography", "value": snapshot.biography}],
    }
    if snapshot.post_id:
        return PostLog(**values, platform_post_id=snapshot.post_id)
    return ProfileLog(**values)
