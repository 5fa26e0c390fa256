"""A crawler of the rehearsal: writes snapshots as a company's crawler does, until SIGTERM.

    python -m gcc_platform.migration.rehearsal.crawler NAME RATE JOURNAL

GCC_LEGACY_WRITES is its mode: with `rows` it writes as a crawler that was not upgraded. It appends the number of each
visit that it committed to the journal, so that both sides can be counted against it.
"""

import json
import os
import random
import signal
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from gcc_platform.migration.rehearsal.log_models import PostLog, ProfileLog
from ingest_service.publisher.dual_write import publish_commits
from ingest_service.publisher.thread_publisher import ThreadPublisher


class Crawler:
    """Makes snapshots, each with a number of its own among its metrics, and journals what it has committed."""

    def __init__(self, name: str, session: Session, journal: TextIO) -> None:
        self._name = name
        self._session = session
        self._journal = journal
        self._number = 0
        self._chance = random.Random(name)  # noqa: S311  made-up crawls

    def crawl(self) -> None:
        """Commit one visit: a snapshot of a profile, and of one of its posts. One of twenty is rolled back."""
        self._number += 1
        profile = f"{self._name}-{self._chance.randrange(200)}"
        lists = {"metrics": _pairs(snapshot=self._number), "dimensions": _pairs(handle=profile)}
        common = {"platform": "INSTAGRAM", "profile_id": profile, "source": self._name, "timestamp": _now()}
        self._session.add(ProfileLog(**common, **lists))
        self._session.add(PostLog(platform_post_id=f"C{profile}", **common, **lists))
        if self._number % 20 == 0:
            self._session.flush()
            self._session.rollback()
            return
        self._session.commit()
        self._journal.write(json.dumps({"source": self._name, "snapshot": self._number}) + "\n")
        self._journal.flush()


def _pairs(**values: object) -> list[dict[str, object]]:
    return [{"key": name, "value": value} for name, value in values.items()]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def main(name: str, rate: float, journal: Path) -> None:
    """Crawl at a rate of visits per second."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    engine = create_engine(os.environ["GCC_LEGACY_URL"].replace("postgresql://", "postgresql+psycopg://"))
    with ExitStack() as stack:
        publisher = ThreadPublisher(os.environ["AMQP_URL"], spool=os.environ["GCC_SPOOL_DIR"])
        publish_commits(Session, stack.enter_context(publisher).emit)
        session = stack.enter_context(Session(engine))
        crawler = Crawler(f"{name}-{os.getpid()}", session, stack.enter_context(journal.open("a")))
        while not stopped.wait(1 / rate):
            crawler.crawl()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
