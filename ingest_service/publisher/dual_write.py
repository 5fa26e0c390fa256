"""Dual writing: what a SQLAlchemy session commits is published, under one identity and one time on both sides.

    class ProfileLog(Base, Published):      # as before, with one more column, event_id
        EVENT_TYPE = "profile_log"
        ...

    with ThreadPublisher(url, spool=...) as publisher:      # or HandOver(publisher), of an EventPublisher that runs
        publish_commits(Session, publisher.emit)            # once

An event is published after its row's commit: what is rolled back is not published, and a crash between the two leaves a
row whose event_id names what is missing. The id is made with the object: a column's default would be made at the flush.
An event has the values that were flushed last. A class is `Published` if its rows are inserted once and then stay: a
queue of work, whose rows go through states, is not.

Not seen is what no session flushes as an object. Rows of Core statements and of insert() have no event_id, and the
migration's tail takes them. Rows of bulk_save_objects have one, and no event: parity reports them as lost before the
broker, and repairs them; use add_all. Changes by update() and delete() are found by parity as well. A session that is
bound to a connection within another's transaction publishes at its own commit, which may be before the real one.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from ingest_service.publisher import legacy_writes
from ingest_service.publisher.legacy_writes import LegacyWrites
from ingest_service.publisher.log_events import event_of
from ingest_service.publisher.rate_limited_log import RateLimitedLog

try:
    from sqlalchemy import Uuid, event
    from sqlalchemy.orm import Mapped, Session, SessionTransaction, mapped_column, scoped_session, sessionmaker
    from sqlalchemy.orm.attributes import instance_state
except ImportError as _error:
    raise ImportError(
        "ingest_service.publisher.dual_write needs SQLAlchemy 2: pip install 'gcc[sqlalchemy]'"
    ) from _error

Emit = Callable[[str, Mapping[str, Any]], None]
"""Takes an event type and an event; returns at once."""

Sessions = type[Session] | sessionmaker[Any] | scoped_session[Any]
"""What makes sessions."""

_CHANGES = "gcc_changes"

_log = RateLimitedLog(logging.getLogger(__name__))


class Published:
    """A mixin for log objects: their rows are events too. Crawlers that do not know it leave event_id NULL."""

    EVENT_TYPE: ClassVar[str]
    event_id: Mapped[UUID | None] = mapped_column(Uuid, nullable=True)


@dataclass(frozen=True)
class _Change:
    """What a flush did with an object."""

    log: Published
    """Kept alive, so that its id is not another object's."""
    event: "_Event | None"
    """None: its row is deleted, or cannot be an event."""
    transaction: SessionTransaction | None
    """The transaction or savepoint that it is rolled back with."""


@dataclass(frozen=True)
class _Event:
    event_type: str
    content: Mapping[str, Any]


class _CannotBeAnEvent(Exception):
    """A row that cannot be an event; the message names the reason, never a value."""


def publish_commits(
    sessions: Sessions,
    emit: Emit,
    *,
    zone: ZoneInfo | None = None,
    writes: LegacyWrites | None = None,
) -> None:
    """From now on, what these sessions commit is published. Call it once, before the first log object is made.

    `zone` is that of the naive timestamps, by default GCC_LEGACY_ZONE; `writes` is by default GCC_LEGACY_WRITES. An
    error in making or emitting an event is logged, and never fails a commit: the row's event_id names what is missing.
    For an AsyncSession, pass its sync_session_class. Raises BadLegacyWrites.

    With `events`, an object leaves its session at the flush. It keeps its values, and has neither an `id` nor what else
    the database makes; refresh() and delete() fail, as they do for any object that is not in a session.
    """
    writes = writes or legacy_writes.mode()
    hooks = _Hooks(emit, zone or legacy_writes.zone())
    if writes is LegacyWrites.ROWS:
        event.listen(sessions, "before_flush", hooks.take_identity_away)
        return
    event.listen(Published, "init", hooks.identify, propagate=True)
    if writes is LegacyWrites.EVENTS:
        event.listen(sessions, "before_flush", hooks.take_instead_of_inserting)
        event.listen(sessions, "after_commit", hooks.publish_as_they_are)
    else:
        event.listen(sessions, "after_flush", hooks.take)
        event.listen(sessions, "after_commit", hooks.publish)
    event.listen(sessions, "after_transaction_end", hooks.forget)


@dataclass(frozen=True)
class _Hooks:
    """What is done when a session flushes, commits and rolls back."""

    emit: Emit
    zone: ZoneInfo

    def identify(self, log: Published, _args: object, values: dict[str, Any]) -> None:
        """Give a new log object its event_id and time: as arguments only if its constructor was given them."""
        made = {"event_id": uuid4(), "timestamp": datetime.now(self.zone).replace(tzinfo=None)}
        for name, value in made.items():
            if name not in values:
                if hasattr(type(log), name):
                    setattr(log, name, value)
            elif values[name] is None:
                values[name] = value

    def take_identity_away(self, session: Session, _context: object, _instances: object) -> None:
        """Rows without an event_id are taken by the migration's tail; those with one are expected to be published."""
        for log in _logs(session.new):
            log.event_id = None

    def take(self, session: Session, _context: object) -> None:
        """Note the events of rows that were inserted, or changed since they were inserted in this transaction."""
        changes = _changes(session)
        new, dirty, deleted = _logs(session.new), _logs(session.dirty), _logs(session.deleted)
        known = {id(each.log) for each in changes} if dirty or deleted else set()
        transaction = _transaction(session)
        for log in (*new, *(each for each in dirty if id(each) in known)):
            if log.__dict__.get("event_id") is not None:  # others are taken by the migration's tail
                changes.append(_Change(log, self._event(log, _check), transaction))
        changes += [_Change(log, None, transaction) for log in deleted if id(log) in known]

    def take_instead_of_inserting(self, session: Session, _context: object, _instances: object) -> None:
        """Note new objects, which do not reach the database."""
        for log in _logs(session.new):
            log.event_id = log.event_id or uuid4()
            _changes(session).append(_Change(log, None, _transaction(session)))
            session.expunge(log)

    def publish(self, session: Session) -> None:
        """Publish what is committed, as it was flushed last: the objects are expired now."""
        for each in self._committed(session):
            if each.event:
                self._emit(each.event)

    def publish_as_they_are(self, session: Session) -> None:
        """Publish what would be committed: the objects left the session, so their values are still there."""
        for each in self._committed(session):
            if found := self._event(each.log, lambda _: None):
                self._emit(found)

    def forget(self, session: Session, transaction: SessionTransaction) -> None:
        """Forget the changes of a transaction or savepoint that ended otherwise than by its commit or release."""
        changes = session.info.get(_CHANGES)
        if changes:
            session.info[_CHANGES] = [each for each in changes if each.transaction is not transaction]

    def _committed(self, session: Session) -> list[_Change]:
        """The last change of each object, after a commit; none after a savepoint's release, which commits nothing."""
        if released := session.get_nested_transaction():
            session.info[_CHANGES] = [_handed_over(each, released) for each in _changes(session)]
            return []
        return list({id(each.log): each for each in session.info.pop(_CHANGES, ())}.values())

    def _event(self, log: Published, check: Callable[[Published], None]) -> _Event | None:
        """The event of an object; None, which is logged, if it cannot be one."""
        try:
            check(log)
            event_type, content = event_of(log.EVENT_TYPE, _fields(log), self.zone)
        except _CannotBeAnEvent as reason:
            _log.warn((type(log), str(reason)), "a row of %s is not published: %s", type(log).__name__, reason)
            return None
        except Exception as error:  # noqa: BLE001  a crawler's object may hold anything
            kind = type(error).__name__
            _log.warn((type(log), kind), "a row of %s is not published: %s", type(log).__name__, kind)
            return None
        return _Event(event_type, content)

    def _emit(self, found: _Event) -> None:
        try:
            self.emit(found.event_type, found.content)
        except Exception as error:  # noqa: BLE001  the row is committed: nothing may fail its crawl now
            _log.warn("emit", "an event of type %s is not published: %s", found.event_type, type(error).__name__)


def _logs(objects: Any) -> list[Published]:
    return [each for each in objects if isinstance(each, Published)]


def _changes(session: Session) -> list[_Change]:
    """The changes of a session that are not yet committed, in their order."""
    found: list[_Change] = session.info.setdefault(_CHANGES, [])
    return found


def _transaction(session: Session) -> SessionTransaction | None:
    return session.get_nested_transaction() or session.get_transaction()


def _handed_over(change: _Change, released: SessionTransaction) -> _Change:
    """A change of a released savepoint is one of the transaction around it."""
    if change.transaction is not released:
        return change
    return _Change(change.log, change.event, released.parent)


def _check(log: Published) -> None:
    """Check that the event of an object would be that of its row. Raises _CannotBeAnEvent."""
    state = instance_state(log)
    if unknown := state.expired_attributes.intersection(state.mapper.column_attrs.keys()):
        raise _CannotBeAnEvent(f"the database made {', '.join(sorted(unknown))}, which is not known here")
    at = log.__dict__.get("timestamp")
    if not isinstance(at, datetime):
        raise _CannotBeAnEvent("it has no timestamp")
    if at.tzinfo:
        raise _CannotBeAnEvent("its timestamp has a zone, in which PostgreSQL does not keep it; set it without one")


def _fields(log: Published) -> dict[str, Any]:
    """The values of an object's columns, read without a query."""
    names = instance_state(log).mapper.column_attrs.keys()
    fields = {name: _as_stored(log.__dict__[name]) for name in names if name in log.__dict__}
    return fields | {"event_id": str(log.event_id)}


def _as_stored(value: Any) -> Any:
    """A copy of a JSON column's value as the row has it: it may be changed in place, which SQLAlchemy does not see."""
    return json.loads(json.dumps(value)) if isinstance(value, dict | list) else value
