"""What a crawler's session commits is published once, after the commit, with the row's identity and time."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, DateTime, String, create_engine, func, insert, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, SessionTransaction, mapped_column, sessionmaker

from gcc_platform.local_stack.ports import Ports
from gcc_platform.local_stack.postgres import ROLES, SUPERUSER, Postgres
from ingest_service.publisher import EventPublisher, legacy_writes
from ingest_service.publisher.dual_write import Published, _Hooks, publish_commits
from ingest_service.publisher.hand_over import HandOver
from ingest_service.publisher.legacy_writes import BadLegacyWrites, LegacyWrites
from ingest_service.publisher.thread_publisher import ThreadPublisher
from tests.conftest import LEGACY
from tests.ingest_service.publisher.conftest import Broker

ROOT = Path(__file__).parents[3]
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


class Account(Base):
    """An object that is no log."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String)


class Terse(ProfileLog):
    """A log object whose constructor takes nothing that it does not know."""

    def __init__(self, profile_id: str) -> None:
        self.profile_id = profile_id


class Crawl:
    """A crawler of its own Session class, whose events are collected."""

    def __init__(self, url: str, old: psycopg.Connection, writes: LegacyWrites) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.raises: Exception | None = None
        self._old = old
        self._engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        self._class = type("CrawlSession", (Session,), {})
        publish_commits(self._class, self._emit, zone=KOLKATA, writes=writes)

    def _emit(self, event_type: str, content: Mapping[str, Any]) -> None:
        if self.raises:
            raise self.raises
        self.events.append((event_type, content))

    def session(self, **options: Any) -> Session:
        return self._class(self._engine, **options)  # type: ignore[no-any-return]

    def kill(self, backend: int | None) -> None:
        self._old.execute("SELECT pg_terminate_backend(%s)", [backend])

    def forget(self) -> None:
        self._old.execute("TRUNCATE profile_log")
        self.events.clear()

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


def test_a_constraint_that_refuses_the_commit_itself_publishes_nothing(
    crawl: Crawl, prepared: psycopg.Connection
) -> None:
    prepared.execute("ALTER TABLE profile_log ADD UNIQUE (profile_id) DEFERRABLE INITIALLY DEFERRED")
    with crawl.session() as session:
        session.add_all([profile("twice"), profile("twice")])
        session.flush()
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        session.add(profile("kept"))
        session.commit()
    assert [row[1] for row in crawl.rows()] == ["kept"]
    assert [content["profile_id"] for _, content in crawl.events] == ["kept"]


class Crawling:
    """A session that does what it is asked to, with the objects of its transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._logs: list[ProfileLog] = []
        self._savepoints: list[SessionTransaction] = []

    def add(self) -> None:
        self._logs.append(profile("added"))
        self._session.add(self._logs[-1])

    def change(self) -> None:
        for log in self._there()[-2:]:
            log.profile_id += "!"

    def delete(self) -> None:
        self._session.flush()
        for log in self._there()[:1]:
            self._session.delete(log)

    def flush(self) -> None:
        self._session.flush()

    def begin(self) -> None:
        self._savepoints.append(self._session.begin_nested())

    def release(self) -> None:
        if self._savepoints:
            self._savepoints.pop().commit()

    def undo(self) -> None:
        if self._savepoints:
            self._savepoints.pop().rollback()

    def rollback(self) -> None:
        self._end(self._session.rollback)

    def commit(self) -> None:
        self._end(self._session.commit)

    def close(self) -> None:
        self._end(self._session.close)

    def _end(self, how: Callable[[], None]) -> None:
        how()
        self._logs.clear()
        self._savepoints.clear()

    def _there(self) -> list[ProfileLog]:
        return [log for log in self._logs if log in self._session and log not in self._session.deleted]


STEPS = ("add", "add", "change", "delete", "flush", "begin", "begin", "release", "undo", "rollback", "commit", "close")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(STEPS), max_size=30))
def test_whatever_a_session_does_its_events_are_the_rows_that_are_there(crawl: Crawl, steps: Sequence[str]) -> None:
    crawl.forget()
    with crawl.session() as session:
        crawling = Crawling(session)
        for step in (*steps, "commit"):
            getattr(crawling, step)()
    there = {str(event_id): name for event_id, name, _ in crawl.rows()}
    assert {content["event_id"]: content["profile_id"] for _, content in crawl.events} == there
    assert len(crawl.events) == len(there)


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


def test_what_a_closed_session_never_committed_is_no_event_of_its_next_commit(crawl: Crawl) -> None:
    session = crawl.session()
    session.add(profile("never committed"))
    session.flush()
    session.close()
    session.add(profile("kept"))
    session.commit()
    session.close()
    assert [content["profile_id"] for _, content in crawl.events] == ["kept"]


def test_a_change_that_a_savepoint_rolls_back_leaves_the_event_of_the_row_before_it(crawl: Crawl) -> None:
    with crawl.session() as session:
        changed, deleted = profile("changed"), profile("deleted")
        session.add_all([changed, deleted])
        savepoint = session.begin_nested()
        changed.profile_id = "rolled back"
        session.delete(deleted)
        session.flush()
        savepoint.rollback()
        session.commit()
    assert [row[1] for row in crawl.rows()] == ["changed", "deleted"]
    assert [content["profile_id"] for _, content in crawl.events] == ["changed", "deleted"]


def test_a_row_that_fails_within_a_savepoint_costs_no_other_its_event(crawl: Crawl) -> None:
    twice = UUID("6ecd8c99-4036-403d-bf84-cf8400f67836")
    with crawl.session() as session:
        session.add(profile("first", event_id=twice))
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add_all([profile("beside"), profile("second", event_id=twice)])
        session.add(profile("third"))
        session.commit()
    assert [row[1] for row in crawl.rows()] == ["first", "third"]
    assert crawl.ids() == [row[0] for row in crawl.rows()]


def test_a_value_changed_in_place_after_the_flush_is_in_the_event_as_it_is_in_the_row(crawl: Crawl) -> None:
    with crawl.session() as session:
        log = profile(metrics=[{"key": "by_day", "value": [1, 2]}])
        session.add(log)
        session.flush()
        log.metrics[0]["value"].append(3)  # SQLAlchemy does not see it
        session.commit()
    assert [content["metrics"] for _, content in crawl.events] == [{"by_day": [1, 2]}]


def test_a_row_with_a_value_that_only_the_database_knows_is_no_event(
    crawl: Crawl, caplog: pytest.LogCaptureFixture
) -> None:
    with crawl.session() as session:
        inserted, updated = profile("inserted", source=func.lower("GRAPHAPI")), profile("updated")
        session.add_all([inserted, updated, profile("known")])
        session.flush()
        updated.source = func.lower("RAPIDAPI")
        session.commit()
    assert len(crawl.rows()) == 3
    assert [each["profile_id"] for _, each in crawl.events] == ["known"]
    assert "the database made source" in caplog.text


@pytest.mark.parametrize("at", [None, datetime(2026, 1, 1, tzinfo=KOLKATA)])
def test_a_row_whose_time_is_not_that_of_the_crawlers_clock_is_no_event(crawl: Crawl, at: datetime | None) -> None:
    with crawl.session() as session:
        log = profile()
        log.timestamp = at  # type: ignore[assignment]
        session.add(log)
        session.commit()
    assert len(crawl.rows()) == 1
    assert crawl.events == []


def test_a_row_without_an_event_id_is_left_to_the_tail(crawl: Crawl) -> None:
    with crawl.session() as session:
        log = profile()
        log.event_id = None
        session.add(log)
        session.commit()
    assert [row[0] for row in crawl.rows()] == [None]
    assert crawl.events == []


def test_a_class_without_an_event_type_fails_no_commit(crawl: Crawl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ProfileLog, "EVENT_TYPE")
    with crawl.session() as session:
        session.add(profile())
        session.commit()
    assert len(crawl.rows()) == 1
    assert crawl.events == []


def test_a_log_with_a_constructor_of_its_own_has_an_identity(crawl: Crawl) -> None:
    log = Terse("p1")
    assert log.event_id is not None
    assert log.timestamp is not None


def test_sessions_beside_each_other_publish_their_own_commits(crawl: Crawl) -> None:
    with crawl.session() as one, crawl.session() as other:
        one.add(profile("one"))
        other.add(profile("other"))
        one.flush()
        other.flush()
        other.rollback()
        one.commit()
        other.commit()
    assert [content["profile_id"] for _, content in crawl.events] == ["one"]


def test_a_preparation_that_the_database_refuses_publishes_nothing(crawl: Crawl) -> None:
    with crawl.session(twophase=True) as session:
        session.add(profile())
        with pytest.raises(DBAPIError):
            session.commit()  # max_prepared_transactions is 0
    assert crawl.rows() == []
    assert crawl.events == []


def test_a_prepared_transaction_is_published_when_it_is_committed(tmp_path: Path) -> None:
    server = Postgres(tmp_path, Ports.free(), dict.fromkeys((SUPERUSER, *ROLES), "secret"), fast=True)
    server.start(threading.Event())
    url = server.url("postgresql", SUPERUSER, server.ports.postgres, "/gcc")
    with psycopg.connect(url, autocommit=True) as old:
        old.execute(LEGACY.read_bytes())
        old.execute("ALTER TABLE profile_log ADD COLUMN event_id uuid")
        old.execute("ALTER SYSTEM SET max_prepared_transactions = 4")
    server.stop()
    server.start(threading.Event())
    with psycopg.connect(url, autocommit=True) as old:
        crawl = Crawl(url, old, LegacyWrites.BOTH)
        with crawl.session(twophase=True) as session:
            session.add(profile("rolled back"))
            session.prepare()
            session.rollback()
            session.add(profile("kept"))
            session.prepare()
            assert crawl.events == []
            session.commit()
        crawl.close()
        assert [row[1] for row in crawl.rows()] == ["kept"]
        assert crawl.ids() == [row[0] for row in crawl.rows()]
    server.stop()


def test_a_lost_connection_publishes_nothing(crawl: Crawl) -> None:
    with crawl.session() as session:
        session.add(profile("lost"))
        session.flush()
        backend = session.scalar(text("SELECT pg_backend_pid()"))
        crawl.kill(backend)
        with pytest.raises(OperationalError):
            session.commit()
        session.rollback()
        session.add(profile("kept"))
        session.commit()
    assert [row[1] for row in crawl.rows()] == ["kept"]
    assert [content["profile_id"] for _, content in crawl.events] == ["kept"]


def test_rows_that_are_inserted_in_bulk_are_no_events_and_those_of_objects_can_be_named(crawl: Crawl) -> None:
    with crawl.session() as session:
        session.execute(insert(ProfileLog), [{"platform": "I", "profile_id": "insert", "timestamp": AT}])
        session.bulk_save_objects([profile("bulk")])
        session.commit()
    assert crawl.events == []
    assert [(event_id is None, name) for event_id, name, _ in crawl.rows()] == [(True, "insert"), (False, "bulk")]


def test_a_factory_of_sessions_will_do(old_server: str, prepared: psycopg.Connection) -> None:
    engine = create_engine(old_server.replace("postgresql://", "postgresql+psycopg://"))
    make = sessionmaker(engine)
    events: list[Mapping[str, Any]] = []
    publish_commits(make, lambda _, content: events.append(content), zone=KOLKATA, writes=LegacyWrites.BOTH)
    with make.begin() as session:
        session.add(profile())
    engine.dispose()
    assert [each["profile_id"] for each in events] == ["p1"]


def test_a_large_transaction_costs_each_row_the_same(crawl: Crawl) -> None:
    hooks = _Hooks(crawl._emit, KOLKATA)
    seconds = []
    for count in (1_000, 8_000):
        with crawl.session() as session:
            session.add_all([profile(f"p{number}") for number in range(count)])
            began = time.process_time()
            hooks.take(session, None)
            seconds.append((time.process_time() - began) / count)
            session.expunge_all()
    assert seconds[1] < 3 * seconds[0]


def test_a_broken_publisher_fails_no_commit(crawl: Crawl) -> None:
    crawl.raises = RuntimeError("the publisher is broken")
    with crawl.session() as session:
        session.add(profile())
        session.commit()
    assert len(crawl.rows()) == 1


def test_an_object_that_is_no_event_fails_no_commit(crawl: Crawl) -> None:
    with crawl.session() as session:
        session.add(profile("odd", metrics=[5], dimensions="none"))
        session.add(profile("before all times of UTC", timestamp=datetime(1, 1, 1)))
        session.commit()
    assert len(crawl.rows()) == 2
    assert [content["profile_id"] for _, content in crawl.events] == ["odd"]


KILLED_BEFORE_PUBLISHING = """
import os, signal, sys
from tests.ingest_service.publisher.test_dual_write import *
publish_commits(Session, lambda *_: os.kill(os.getpid(), signal.SIGKILL), zone=KOLKATA, writes=LegacyWrites.BOTH)
with Session(create_engine(sys.argv[1])) as session:
    session.add(profile("killed"))
    session.commit()
"""


def test_a_crash_after_the_commit_leaves_a_row_whose_event_id_names_what_is_missing(
    old_server: str, crawl: Crawl
) -> None:
    url = old_server.replace("postgresql://", "postgresql+psycopg://")
    done = subprocess.run([sys.executable, "-c", KILLED_BEFORE_PUBLISHING, url], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    [(event_id, name, _)] = crawl.rows()
    assert name == "killed"
    assert event_id.version == 4


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


def test_with_events_only_an_event_has_the_values_that_its_row_would_have(
    old_server: str, prepared: psycopg.Connection
) -> None:
    crawl = Crawl(old_server, prepared, LegacyWrites.EVENTS)
    with crawl.session() as session:
        log, twice = profile(), profile("twice")
        session.add_all([log, twice])
        savepoint = session.begin_nested()
        session.add(profile("rolled back"))
        session.flush()
        savepoint.rollback()
        log.profile_id = "later"
        session.add(twice)  # by code that does not know that it was added
        session.commit()
        session.add(profile("never committed"))
        session.flush()
    crawl.close()
    assert crawl.rows() == []
    assert [content["profile_id"] for _, content in crawl.events] == ["later", "twice"]


def test_with_events_only_no_object_is_lost_for_its_time(old_server: str, prepared: psycopg.Connection) -> None:
    crawl = Crawl(old_server, prepared, LegacyWrites.EVENTS)
    with crawl.session() as session:
        without, zoned = profile("without"), profile("zoned", timestamp=datetime(2026, 1, 1, tzinfo=KOLKATA))
        without.timestamp = without.event_id = None  # type: ignore[assignment]
        session.add_all([without, zoned])
        session.commit()
    crawl.close()
    [now, known] = [content for _, content in crawl.events]
    assert "event_timestamp" not in now  # the publisher's clock
    assert UUID(now["event_id"]).version == 4
    assert known["event_timestamp"] == "2025-12-31T18:30:00.000000+00:00"


def test_with_events_only_other_objects_are_inserted_as_before(old_server: str, prepared: psycopg.Connection) -> None:
    prepared.execute("CREATE TABLE account (id bigserial PRIMARY KEY, name varchar)")
    crawl = Crawl(old_server, prepared, LegacyWrites.EVENTS)
    with crawl.session() as session:
        session.add_all([Account(name="a"), profile()])
        session.commit()
    crawl.close()
    assert prepared.execute("SELECT name FROM account").fetchall() == [("a",)]
    assert crawl.rows() == []
    assert len(crawl.events) == 1


def test_with_rows_only_rows_have_no_event_id_and_nothing_is_published(
    old_server: str, prepared: psycopg.Connection
) -> None:
    crawl = Crawl(old_server, prepared, LegacyWrites.ROWS)
    with crawl.session() as session:
        session.add(profile(timestamp=AT))
        session.add(profile(timestamp=AT, event_id=UUID("6ecd8c99-4036-403d-bf84-cf8400f67836")))
        session.commit()
    crawl.close()
    assert crawl.events == []
    assert [row[0] for row in crawl.rows()] == [None, None]


def test_an_unknown_mode_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCC_LEGACY_WRITES", "neither")
    with pytest.raises(BadLegacyWrites, match="GCC_LEGACY_WRITES is 'neither': set it to one of both, events, rows"):
        legacy_writes.mode()


@pytest.mark.parametrize("name", ["Kolkata", "America", "../etc/passwd", "UTC,post_log=Asia/Kolkata"])
def test_an_unknown_zone_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("GCC_LEGACY_ZONE", name)
    with pytest.raises(BadLegacyWrites, match=f"GCC_LEGACY_ZONE is '{name}'"):
        publish_commits(Session, lambda *_: None)


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


async def test_the_publisher_of_the_event_loop_confirms_what_an_asynchronous_session_commits(
    broker: Broker, old_server: str, prepared: psycopg.Connection
) -> None:
    engine = create_async_engine(old_server.replace("postgresql://", "postgresql+psycopg://"))
    session_class = type("AsyncCrawlSession", (Session,), {})
    async with EventPublisher(broker.url) as publisher:
        publish_commits(session_class, HandOver(publisher).emit, zone=KOLKATA, writes=LegacyWrites.BOTH)
        async with AsyncSession(engine, sync_session_class=session_class) as session:
            session.add(profile(timestamp=AT))
            await session.commit()
    await engine.dispose()
    [row] = prepared.execute("SELECT event_id FROM profile_log").fetchall()
    [event] = await broker.events("profile_log")
    assert UUID(event["event_id"]) == row[0]
    assert event["event_timestamp"] == "2026-01-01T21:34:05.678901+00:00"
    assert event["handle"] == "é"


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


@pytest.mark.parametrize("missing", ["sqlalchemy", "sqlalchemy.orm.attributes"])
def test_without_sqlalchemy_the_import_names_what_to_install(missing: str) -> None:
    code = f"import sys; sys.modules['{missing}'] = None; import ingest_service.publisher.dual_write"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "dual_write needs SQLAlchemy 2: pip install 'gcc[sqlalchemy]'" in done.stderr
    without = code.replace("dual_write", "dispatcher")
    subprocess.run([sys.executable, "-c", without], check=True)
