"""What a crawler's session commits is published once, after the commit, with the row's identity and time."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from sqlalchemy import BigInteger, DateTime, String, create_engine, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from ingest_service.publisher import legacy_writes
from ingest_service.publisher.dual_write import Published, publish_commits
from ingest_service.publisher.legacy_writes import BadLegacyWrites, LegacyWrites
from ingest_service.publisher.thread_publisher import ThreadPublisher
from tests.ingest_service.publisher.conftest import Broker

KOLKATA = ZoneInfo("Asia/Kolkata")
AT = datetime(2026, 1, 2, 3, 4, 5, 678901)


class Base(DeclarativeBase):
    pass


class ProfileLog(Base, Published):
    __tablename__ = "profile_log"
    EVENT_TYPE: ClassVar[str] = "profile_log"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    platform: Mapped[str] = mapped_column(String)
    profile_id: Mapped[str] = mapped_column(String)
    metrics: Mapped[Any] = mapped_column(JSONB)
    dimensions: Mapped[Any] = mapped_column(JSONB)
    source: Mapped[str] = mapped_column(String)
    timestamp: Mapped[datetime] = mapped_column(DateTime)


class Crawl:
    """A crawler of its own Session class, whose events are collected."""

    def __init__(self, url: str, old: psycopg.Connection, writes: LegacyWrites) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.raises: BaseException | None = None
        self._old = old
        self._engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        self._class = type("CrawlSession", (Session,), {})
        publish_commits(self._class, self._emit, zone=KOLKATA, writes=writes)

    def _emit(self, event_type: str, content: Mapping[str, Any]) -> None:
        if self.raises:
            raise self.raises
        self.events.append((event_type, content))

    def session(self) -> Session:
        return self._class(self._engine)  # type: ignore[no-any-return]

    def rows(self) -> list[tuple[Any, ...]]:
        return self._old.execute("SELECT event_id, profile_id, timestamp FROM profile_log ORDER BY id").fetchall()

    def ids(self) -> list[UUID]:
        """The event_ids of what was published."""
        return [UUID(content["event_id"]) for _, content in self.events]

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture
def prepared(old: psycopg.Connection) -> psycopg.Connection:
    old.execute("ALTER TABLE profile_log ADD COLUMN event_id uuid")
    old.execute("CREATE UNIQUE INDEX ON profile_log (event_id)")
    return old


@pytest.fixture(autouse=True)
def _no_hooks_of_other_tests() -> Iterator[None]:
    """The listeners on the mixin are for all of its classes."""
    yield
    for target in (Published, ProfileLog):
        dispatch = getattr(target, "_sa_class_manager", None)
        if dispatch is not None:
            dispatch.dispatch.init.clear()


@pytest.fixture
def crawl(old_server: str, prepared: psycopg.Connection) -> Iterator[Crawl]:
    found = Crawl(old_server, prepared, LegacyWrites.BOTH)
    yield found
    found.close()


def profile(name: str = "p1", **more: object) -> ProfileLog:
    fields = {
        "platform": "INSTAGRAM",
        "profile_id": name,
        "source": "graphapi",
        "metrics": [{"key": "followers", "value": 7}],
        "dimensions": [{"key": "handle", "value": "é"}],
    }
    return ProfileLog(**{**fields, **more})


def test_a_committed_row_and_its_event_have_one_identity_and_one_time(crawl: Crawl) -> None:
    with crawl.session() as session:
        session.add(profile(timestamp=AT))
        session.flush()
        assert crawl.events == []
        session.commit()
    [(event_id, _, timestamp)] = crawl.rows()
    [(event_type, content)] = crawl.events
    assert event_type == "profile_log"
    assert content["event_id"] == str(event_id)
    assert timestamp == AT
    assert content["event_timestamp"] == "2026-01-01T21:34:05.678901+00:00"
    assert content["metrics"] == {"followers": 7}
    assert "timestamp" not in content
    assert "id" not in content


def test_the_identity_and_the_time_are_made_with_the_object(crawl: Crawl) -> None:
    log = profile()
    made = log.event_id
    assert made is not None
    assert abs((datetime.now(KOLKATA).replace(tzinfo=None) - log.timestamp).total_seconds()) < 60
    with crawl.session() as session:
        session.add(log)
        session.commit()
    assert crawl.ids() == [made] == [row[0] for row in crawl.rows()]


def test_what_is_rolled_back_is_no_event(crawl: Crawl) -> None:
    with crawl.session() as session:
        session.add(profile())
        session.flush()
        session.rollback()
        session.add(profile("kept"))
        session.commit()
    assert [content["profile_id"] for _, content in crawl.events] == ["kept"]


def test_a_commit_that_the_database_refuses_publishes_nothing(crawl: Crawl) -> None:
    twice = "6ecd8c99-4036-403d-bf84-cf8400f67836"
    with crawl.session() as session:
        session.add_all([profile(event_id=UUID(twice)), profile(event_id=UUID(twice))])
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
    assert crawl.events == []
    assert crawl.rows() == []


def test_only_the_rows_of_savepoints_that_were_released_are_events(crawl: Crawl) -> None:
    with crawl.session() as session:
        session.add(profile("outer"))
        with session.begin_nested():
            session.add(profile("released"))
        savepoint = session.begin_nested()
        session.add(profile("rolled back"))
        session.flush()
        savepoint.rollback()
        assert crawl.events == []
        session.commit()
    assert [row[1] for row in crawl.rows()] == ["outer", "released"]
    assert crawl.ids() == [row[0] for row in crawl.rows()]


def test_a_released_savepoint_within_one_that_was_rolled_back_is_no_event(crawl: Crawl) -> None:
    with crawl.session() as session:
        outer = session.begin_nested()
        with session.begin_nested():
            session.add(profile())
        outer.rollback()
        session.commit()
    assert crawl.events == []
    assert crawl.rows() == []


def test_an_event_has_the_values_that_were_committed(crawl: Crawl) -> None:
    with crawl.session() as session:
        log, gone = profile(), profile("gone")
        session.add_all([log, gone])
        session.flush()
        log.profile_id = "later"
        session.delete(gone)
        session.commit()
        assert [content["profile_id"] for _, content in crawl.events] == ["later"]
        log.profile_id = "changed after its commit"
        session.commit()
    assert len(crawl.events) == 1


def test_a_broken_publisher_fails_no_commit(crawl: Crawl) -> None:
    crawl.raises = RuntimeError("the publisher is broken")
    with crawl.session() as session:
        session.add(profile())
        session.commit()
    assert len(crawl.rows()) == 1


def test_an_object_that_is_no_event_fails_no_commit(crawl: Crawl) -> None:
    with crawl.session() as session:
        session.add(profile("odd", metrics=None))
        session.add(ProfileLog(platform="I", profile_id="p", metrics=[5], dimensions=None, source="s"))
        session.commit()
    assert len(crawl.rows()) == 2
    assert [content["profile_id"] for _, content in crawl.events] == ["odd"]


def test_a_crash_after_the_commit_leaves_a_row_whose_event_id_names_what_is_missing(crawl: Crawl) -> None:
    crawl.raises = SystemExit()
    with crawl.session() as session:
        session.add(profile())
        with pytest.raises(SystemExit):
            session.commit()
    [(event_id, *_)] = crawl.rows()
    assert event_id is not None
    assert crawl.events == []


def test_with_events_only_no_row_is_written_and_the_code_goes_on(old_server: str, prepared: psycopg.Connection) -> None:
    crawl = Crawl(old_server, prepared, LegacyWrites.EVENTS)
    with crawl.session() as session:
        log = profile(timestamp=AT)
        session.add(log)
        session.flush()
        assert log.profile_id == "p1"
        session.execute(text("SELECT 1"))
        assert crawl.events == []
        session.commit()
        assert (log.profile_id, log.timestamp) == ("p1", AT)
        session.add(profile("rolled back"))
        session.flush()
        session.rollback()
    crawl.close()
    assert crawl.rows() == []
    assert crawl.ids() == [log.event_id]


def test_with_rows_only_rows_have_no_event_id_and_nothing_is_published(
    old_server: str, prepared: psycopg.Connection
) -> None:
    crawl = Crawl(old_server, prepared, LegacyWrites.ROWS)
    with crawl.session() as session:
        session.add(profile(timestamp=AT))
        session.commit()
    crawl.close()
    assert crawl.events == []
    assert [row[0] for row in crawl.rows()] == [None]


def test_an_unknown_mode_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCC_LEGACY_WRITES", "neither")
    with pytest.raises(BadLegacyWrites, match="GCC_LEGACY_WRITES is 'neither': set it to one of both, events, rows"):
        legacy_writes.mode()


def test_an_asynchronous_session_publishes_as_well(old_server: str, prepared: psycopg.Connection) -> None:
    crawl = Crawl(old_server, prepared, LegacyWrites.BOTH)

    async def run() -> None:
        engine = create_async_engine(old_server.replace("postgresql://", "postgresql+psycopg://"))
        async with AsyncSession(engine, sync_session_class=crawl._class) as session:
            session.add(profile())
            await session.commit()
        await engine.dispose()

    asyncio.run(run())
    crawl.close()
    assert crawl.ids() == [row[0] for row in crawl.rows()]


def test_a_publisher_in_a_thread_confirms_what_any_thread_commits(
    declared: Broker, old_server: str, prepared: psycopg.Connection
) -> None:
    engine = create_engine(old_server.replace("postgresql://", "postgresql+psycopg://"))
    session_class = type("ThreadSession", (Session,), {})

    def crawl_some(number: int) -> None:
        with session_class(engine) as session:
            session.add_all([profile(f"p{number}") for _ in range(10)])
            session.commit()

    with ThreadPublisher(declared.url) as publisher:
        publish_commits(session_class, publisher.emit, zone=KOLKATA, writes=LegacyWrites.BOTH)
        with ThreadPoolExecutor() as threads:
            list(threads.map(crawl_some, range(5)))
    engine.dispose()
    assert (publisher.counters.sent, publisher.dropped) == (50, 0)
