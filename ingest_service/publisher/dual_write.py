"""Dual writing: what a SQLAlchemy session commits is published, under one identity and one time on both sides.

    class ProfileLog(Base, Published):      # as before, with one more column, event_id
        EVENT_TYPE = "profile_log"
        ...

    with ThreadPublisher(url, spool=...) as publisher:      # or an emit function of one's own
        publish_commits(Session, publisher.emit)            # once

An event is published after its row's commit: what is rolled back is not published, and a crash between the two leaves a
row whose event_id names what is missing. The id is made with the object: a column's default would be made at the flush.

Not seen are rows that no session flushes as objects: bulk inserts, Core statements, and values that the database makes
(SQL expressions, server defaults). They have no event_id, and so the migration's tail takes them.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Uuid, event
from sqlalchemy.orm import Mapped, Session, SessionTransaction, mapped_column, object_mapper

from ingest_service.publisher import legacy_writes
from ingest_service.publisher.legacy_writes import LegacyWrites
from ingest_service.publisher.log_events import event_of
from ingest_service.publisher.rate_limited_log import RateLimitedLog

Emit = Callable[[str, Mapping[str, Any]], None]
"""Takes an event type and an event; returns at once."""

_PENDING = "gcc_pending_events"

_log = RateLimitedLog(logging.getLogger(__name__))


class Published:
    """A mixin for log objects: their rows are events too. Crawlers that do not know it leave event_id NULL."""

    EVENT_TYPE: ClassVar[str]
    event_id: Mapped[UUID | None] = mapped_column(Uuid, nullable=True)


@dataclass
class _Pending:
    """The events of one session, by object, until they are committed or rolled back."""

    events: dict[int, "_Event"] = field(default_factory=dict)

    def drop(self, transaction: SessionTransaction) -> None:
        """Forget what was flushed in a transaction, or in a savepoint within it."""
        self.events = {key: each for key, each in self.events.items() if transaction not in each.within()}


@dataclass(frozen=True)
class _Event:
    log: Published
    """Kept alive, so that its id is not another object's."""
    event_type: str
    content: Mapping[str, Any]
    transaction: SessionTransaction | None

    def within(self) -> Iterator[SessionTransaction]:
        """The transaction or savepoint of the flush, and those around it."""
        current = self.transaction
        while current is not None:
            yield current
            current = current.parent


def publish_commits(
    session_class: type[Session],
    emit: Emit,
    *,
    zone: ZoneInfo | None = None,
    writes: LegacyWrites | None = None,
) -> None:
    """From now on, what sessions of a class commit is published. Call it once per class.

    `zone` is that of the naive timestamps, by default GCC_LEGACY_ZONE; `writes` is by default GCC_LEGACY_WRITES. An
    error in making or emitting an event is logged, and never fails a commit: the row's event_id names what is missing.
    For an AsyncSession, pass its sync_session_class. Raises BadLegacyWrites.
    """
    writes = writes or legacy_writes.mode()
    if writes is LegacyWrites.ROWS:
        return  # without event_ids: the tail takes these rows
    hooks = _Hooks(emit, zone or legacy_writes.zone())
    event.listen(Published, "init", hooks.identify, propagate=True)
    if writes is LegacyWrites.EVENTS:
        event.listen(session_class, "before_flush", hooks.take_instead_of_inserting)
    else:
        event.listen(session_class, "after_flush", hooks.take)
    event.listen(session_class, "after_commit", hooks.publish)
    event.listen(session_class, "after_soft_rollback", hooks.forget)


@dataclass(frozen=True)
class _Hooks:
    """What is done when a session of the class flushes, commits and rolls back."""

    emit: Emit
    zone: ZoneInfo

    def identify(self, _log: Published, _args: object, values: dict[str, Any]) -> None:
        """Give a new log object its event_id and time."""
        values.setdefault("event_id", uuid4())
        values.setdefault("timestamp", datetime.now(self.zone).replace(tzinfo=None))

    def take(self, session: Session, _context: object) -> None:
        """Note the events of rows that were inserted, or changed since they were inserted in this transaction."""
        pending = _pending(session)
        for log in [*session.new, *session.dirty]:
            if isinstance(log, Published) and (log in session.new or id(log) in pending.events):
                self._note(session, log)
        for log in session.deleted:
            pending.events.pop(id(log), None)

    def take_instead_of_inserting(self, session: Session, _context: object, _instances: object) -> None:
        """Note the events of new objects, which do not reach the database."""
        for log in [each for each in session.new if isinstance(each, Published)]:
            self._note(session, log)
            session.expunge(log)

    def publish(self, session: Session) -> None:
        """Publish what is committed. The release of a savepoint commits nothing."""
        if session.in_nested_transaction():
            return
        for each in session.info.pop(_PENDING, _Pending()).events.values():
            try:
                self.emit(each.event_type, each.content)
            except Exception as error:  # noqa: BLE001  the row is committed: nothing may fail its crawl now
                _log.warn("emit", "an event of type %s is not published: %s", each.event_type, error)

    def forget(self, session: Session, transaction: SessionTransaction) -> None:
        """Forget what was rolled back: all, or what was flushed within a savepoint."""
        _pending(session).drop(transaction)

    def _note(self, session: Session, log: Published) -> None:
        """Take the object's values as they are at this flush: after the commit they are expired."""
        try:
            names = object_mapper(log).column_attrs.keys()
            fields = {name: log.__dict__[name] for name in names if name in log.__dict__}
            event_type, content = event_of(log.EVENT_TYPE, fields, self.zone)
        except Exception as error:  # noqa: BLE001  a crawler's object may hold anything
            _log.warn("log", "an event of type %s is not published: %s", log.EVENT_TYPE, error)
            return
        content["event_id"] = str(log.event_id)
        transaction = session.get_nested_transaction() or session.get_transaction()
        _pending(session).events[id(log)] = _Event(log, event_type, content, transaction)


def _pending(session: Session) -> _Pending:
    found: _Pending = session.info.setdefault(_PENDING, _Pending())
    return found
