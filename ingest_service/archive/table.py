"""Reads and writes the tables of dead letters in ClickHouse: the letters, their state, and their replays."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

import msgspec

from ingest_service.archive.records import DeadLetterRecord
from ingest_service.clickhouse.client import ClickHouse
from ingest_service.errors import UserError
from ingest_service.schema.inventory import DEAD_LETTER_REPLAYS, DEAD_LETTERS

_KEYS = 100_000
"""Keys per query. Such a query reads the sizes of all letters after the last key, so there should be few of them."""
PAGE_BYTES = 16 * 2**20
"""Bytes of bodies that are read at a time: those of a page of letters may be gigabytes."""

_Key = tuple[str, str]

_COMMENT: Mapping[str, str | int] = {"service": "gcc-ingest", "type": "dead letters"}


class NoSuchDeadLetter(UserError):
    """The table has no letter with this id."""


class State(StrEnum):
    """The state of a dead letter."""

    WAITING = "waiting"
    """Rejected once, and not replayed."""
    REPLAYED = "replayed"
    """Replayed, and not rejected again."""
    FAILED_AGAIN = "failed_again"
    """Replayed, and rejected again."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters are selected; all of them by default."""

    event_types: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    since: datetime | None = None
    """Last rejected at or after this time."""
    until: datetime | None = None
    """Last rejected before this time."""
    states: tuple[State, ...] = tuple(State)
    archived_until: datetime | None = None
    """Inserted until this time, by ClickHouse's clock."""

    def condition(self) -> tuple[str, dict[str, object]]:
        """The WHERE clause and its parameters."""
        clauses = {
            "event_types": "event_type IN {event_types:Array(String)}",
            "reasons": "reason IN {reasons:Array(String)}",
            "ids": "letter_id IN {ids:Array(UUID)}",
            "states": "state IN {states:Array(String)}",
            "since": "last_rejected_at >= {since:DateTime64(3, 'UTC')}",
            "until": "last_rejected_at < {until:DateTime64(3, 'UTC')}",
            "archived_until": "insert_timestamp <= {archived_until:DateTime64(3, 'UTC')}",
        }
        given = {name: getattr(self, name) for name in clauses if getattr(self, name)}
        return " AND ".join(clauses[name] for name in given), {name: _parameter(value) for name, value in given.items()}


class DeadLetterCount(msgspec.Struct, frozen=True):
    """The letters of one type and reason, counted by state."""

    event_type: str
    reason: str
    letters: int
    waiting: int
    replayed: int
    failed_again: int
    first_rejected_at: datetime
    last_rejected_at: datetime
    newest: UUID
    """The id of the letter that was last rejected."""
    newest_detail: str


class StoredDeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A letter as stored in the table: what validating and replaying it takes."""

    letter_id: UUID
    event_type: str
    reason: str
    attempts: int
    first_rejected_at: datetime
    original_exchange: str
    original_routing_key: str
    body: bytes


class DeadLetterDetails(StoredDeadLetter, frozen=True, kw_only=True):
    """A letter with everything that the table has of it."""

    detail: str
    state: State
    last_rejected_at: datetime
    replays: int
    last_replayed_at: datetime
    headers: str
    archive_file: str
    archived_at: datetime


class DeadLetterTable:
    """Reads and writes the tables."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def ping(self) -> None:
        """Check that ClickHouse answers. Raises ClickHouseUnavailable."""
        await self._clickhouse.ping()

    async def insert(self, letters: Sequence[DeadLetterRecord], archive_file: str, token: str) -> None:
        """Insert archived letters durably; a letter that exists is replaced. Raises InsertFailed."""
        await self._clickhouse.insert(
            DEAD_LETTERS, [_row(letter, archive_file) for letter in letters], token, _COMMENT, _COLUMNS
        )

    async def now(self) -> datetime:
        """The current time by ClickHouse's clock. Raises ClickHouseUnavailable."""
        (answer,) = await self._clickhouse.rows("SELECT now64(3, 'UTC') AS now")
        return msgspec.json.decode(answer, type=dict[str, datetime])["now"]

    async def groups(self, selection: Selection) -> list[DeadLetterCount]:
        """Count letters by type and reason. Raises ClickHouseUnavailable."""
        condition, parameters = selection.condition()
        rows = await self._clickhouse.rows(
            f"""
            SELECT event_type, reason, count() AS letters, countIf(state = 'waiting') AS waiting,
                countIf(state = 'replayed') AS replayed, countIf(state = 'failed_again') AS failed_again,
                min(first_rejected_at) AS first_rejected_at, max(letters.last_rejected_at) AS last_rejected_at,
                argMax(letter_id, letters.last_rejected_at) AS newest,
                argMax(detail, letters.last_rejected_at) AS newest_detail
            FROM (SELECT * FROM ({_states()}) WHERE {condition}) AS letters
            GROUP BY event_type, reason ORDER BY event_type, reason
            """,  # noqa: S608  the condition is ours, its values are parameters
            parameters,
        )
        return [msgspec.json.decode(row, type=DeadLetterCount) for row in rows]

    async def pages(self, selection: Selection, size: int) -> AsyncGenerator[list[StoredDeadLetter], None]:
        """Read the letters, each once even if they change meanwhile, in pages of up to `size` letters and PAGE_BYTES.

        Raises ClickHouseUnavailable.
        """
        after: _Key = ("", str(UUID(int=0)))
        while keys := await self._keys(selection, after, _KEYS):
            for first, last in _ranges(keys, size):
                after = last
                if page := await self._between(selection, first, last):
                    yield page

    async def _keys(self, selection: Selection, after: _Key, size: int) -> list[tuple[_Key, int]]:
        """The next keys in order, with the bytes of each body; the bodies themselves are not returned."""
        condition, parameters = selection.condition()
        states = _states("(event_type, letter_id) > ({type:String}, {id:UUID})")
        rows = await self._clickhouse.rows(
            f"SELECT event_type, letter_id, length(body) AS size FROM ({states})"  # noqa: S608
            f" WHERE {condition}"  # its values are parameters
            f" ORDER BY event_type, letter_id LIMIT {size:d}",
            {**parameters, "type": after[0], "id": after[1]},
        )
        return [((key.event_type, key.letter_id), key.size) for key in map(_sized, rows)]

    async def _between(
        self, selection: Selection, first: tuple[str, str], last: tuple[str, str]
    ) -> list[StoredDeadLetter]:
        condition, parameters = selection.condition()
        states = _states(
            "(event_type, letter_id) >= ({first_type:String}, {first_id:UUID})"
            " AND (event_type, letter_id) <= ({last_type:String}, {last_id:UUID})"
        )
        rows = await self._clickhouse.rows(
            f"SELECT {_columns(StoredDeadLetter)} FROM ({states}) WHERE {condition}"  # noqa: S608  its values are parameters
            " ORDER BY event_type, letter_id",
            {**parameters, "first_type": first[0], "first_id": first[1], "last_type": last[0], "last_id": last[1]},
        )
        return list(map(_stored, rows))

    async def find(self, letter_id: UUID) -> DeadLetterDetails:
        """A letter by its id. Raises NoSuchDeadLetter or ClickHouseUnavailable."""
        rows = await self._clickhouse.rows(
            f"SELECT {_columns(DeadLetterDetails)} FROM ({_states('letter_id = {id:UUID}')})",  # noqa: S608
            {"id": str(letter_id)},
        )
        if not rows:
            raise NoSuchDeadLetter(
                f"no archived dead letter {letter_id}: gcc-ingest dead-letters list shows ids; "
                "gcc-ingest archive --once archives the error queues"
            )
        return msgspec.json.decode(rows[0], type=DeadLetterDetails)

    async def record(self, replay_id: UUID, letters: Sequence[StoredDeadLetter]) -> None:
        """Record that letters were replayed. Raises InsertFailed."""
        rows = [
            {"letter_id": letter.letter_id, "attempts": letter.attempts, "replay_id": replay_id} for letter in letters
        ]
        await self._clickhouse.insert(DEAD_LETTER_REPLAYS, list(map(msgspec.json.encode, rows)), str(uuid4()), _COMMENT)


def _states(keys: str = "1") -> str:
    """The query for the letters of a range of keys, with their state.

    A replay records the letter's attempts; a letter that is rejected again has one more.
    """
    return f"""
        SELECT *, multiIf(replayed_attempts >= attempts, 'replayed', attempts > 1, 'failed_again', 'waiting') AS state
        FROM (SELECT * FROM {DEAD_LETTERS} FINAL WHERE {keys}) AS letters
        LEFT JOIN
        (
            SELECT letter_id, max(attempts) AS replayed_attempts, max(replayed_at) AS last_replayed_at,
                count() AS replays
            FROM {DEAD_LETTER_REPLAYS} FINAL
            GROUP BY letter_id
        ) AS replays USING (letter_id)
    """  # noqa: S608  constants


def _ranges(keys: Sequence[tuple[_Key, int]], most: int) -> Iterator[tuple[_Key, _Key]]:
    """Split keys into ranges (first, last) of up to `most` keys whose letters have PAGE_BYTES, or of a single key."""
    first, held, count = keys[0][0], 0, 0
    last = first
    for key, size in keys:
        if count == most or (count and held + size > PAGE_BYTES):
            yield first, last
            first, held, count = key, 0, 0
        last, held, count = key, held + size, count + 1
    yield first, last


class _Sized(msgspec.Struct):
    event_type: str
    letter_id: str
    size: int


_sized = msgspec.json.Decoder(_Sized).decode
_stored = msgspec.json.Decoder(StoredDeadLetter).decode

_COLUMNS = (*(name for name in DeadLetterRecord.__struct_fields__ if name != "body"), "body_base64", "archive_file")


def _columns(letter: type[StoredDeadLetter]) -> str:
    """The columns of a kind of letter; msgspec reads bytes from base64."""
    names = letter.__struct_fields__
    return ", ".join("base64Encode(body) AS body" if name == "body" else name for name in names)


def _row(letter: DeadLetterRecord, archive_file: str) -> bytes:
    """msgspec writes bytes as base64."""
    fields = {name: getattr(letter, name) for name in letter.__struct_fields__}
    fields["body_base64"] = fields.pop("body")
    return msgspec.json.encode({**fields, "archive_file": archive_file})


def _parameter(value: object) -> object:
    return list(map(str, value)) if isinstance(value, tuple) else value
