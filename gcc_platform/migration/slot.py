"""A logical slot of the old database: the ids of rows without an event_id, as their transactions commit.

It keeps WAL on the old server's disk until it is read, of all its databases. Bound that with max_slot_wal_keep_size:
a slot that falls behind is lost then, and the gap ledger takes over from where it stands.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.postgres import Connection
from ingest_service.errors import UserError

NAME = "gcc_migration"
"""Of the slot and of its publication."""

_LEAST_VERSION = 150_000
"""Before, a publication has neither column lists nor row filters."""


class NoSlot(UserError):
    """The old database cannot have a slot for the tail."""


class SlotLost(Exception):
    """The server has removed WAL that was not read yet, or somebody has dropped the slot."""


@dataclass(frozen=True)
class Changes:
    """What has committed since the slot was advanced."""

    ids: Mapping[str, Sequence[int]]
    """By table."""
    end: str
    """The LSN up to which there is nothing else."""


@dataclass(frozen=True)
class Slot:
    """The slot of some tables, over a connection whose user may replicate."""

    connection: Connection
    tables: Sequence[LegacyTable]

    async def ensure(self) -> None:
        """Create publication and slot, unless they are there. Waits for the transactions that are under way.

        Raises NoSlot and psycopg.OperationalError.
        """
        level, version = await self._one("SELECT current_setting('wal_level'), current_setting('server_version_num')")
        if level != "logical" or int(version) < _LEAST_VERSION:
            raise NoSlot(
                f"the old PostgreSQL has wal_level = {level} and version {version}: a slot needs wal_level = logical, "
                "which takes a restart, and PostgreSQL 15. Without --slot the tail needs neither"
            )
        try:
            await self._publish()
            if await self._is_lost():
                await self.connection.execute("SELECT pg_drop_replication_slot(%s)", [NAME])
            if await self.kept_bytes() is None:
                await self.connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [NAME])
        except psycopg.errors.InsufficientPrivilege as error:
            reason = error.diag.message_primary
            raise NoSlot(
                f"the user of GCC_LEGACY_URL may not create a slot: {reason}. It needs REPLICATION, CREATE on the "
                "database and the tables' ownership. Without --slot the tail needs none of them"
            ) from None

    async def peek(self, most: int) -> Changes:
        """What has committed, up to the transaction in which the changes are `most`. Raises SlotLost."""
        (now,) = await self._one("SELECT pg_current_wal_flush_lsn()::text")
        try:
            found = await self.connection.execute(
                "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, %s, 'proto_version', '1', "
                "'publication_names', %s)",
                [NAME, most, NAME],
            )
        except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.UndefinedObject) as error:
            raise SlotLost(error.diag.message_primary) from None
        messages = [bytes(data) for (data,) in await found.fetchall()]
        end = _end(messages)
        # All that was committed by `now` was there, unless there was more than was asked for.
        if len(messages) < most and (end is None or _number(now) > _number(end)):
            end = now
        return Changes(_ids(messages), end or now)

    async def advance(self, end: str) -> None:
        """Let the server remove WAL up to here. Raises SlotLost."""
        try:
            await self.connection.execute("SELECT pg_replication_slot_advance(%s, %s::pg_lsn)", [NAME, end])
        except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.UndefinedObject) as error:
            raise SlotLost(error.diag.message_primary) from None

    async def kept_bytes(self) -> int | None:
        """The WAL that the server keeps for the slot; None if there is no slot."""
        found = await self.connection.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots "
            "WHERE slot_name = %s",
            [NAME],
        )
        row = await found.fetchone()
        return None if row is None else int(row[0] or 0)

    async def _publish(self) -> None:
        there = await self.connection.execute("SELECT FROM pg_publication WHERE pubname = %s", [NAME])
        exists = await there.fetchone() is not None  # a row without columns is an empty tuple
        verb = f"ALTER PUBLICATION {NAME} SET TABLE" if exists else f"CREATE PUBLICATION {NAME} FOR TABLE"
        tables = ", ".join(f"{table.name} (id, event_id) WHERE (event_id IS NULL)" for table in self.tables)
        options = "" if exists else " WITH (publish = 'insert')"
        await self.connection.execute(f"{verb} {tables}{options}".encode())

    async def _is_lost(self) -> bool:
        found = await self.connection.execute(
            "SELECT FROM pg_replication_slots WHERE slot_name = %s AND wal_status = 'lost'", [NAME]
        )
        return await found.fetchone() is not None

    async def _one(self, query: str) -> Sequence[str]:
        row = await (await self.connection.execute(query.encode())).fetchone()
        assert row is not None
        return row


def _ids(messages: Sequence[bytes]) -> Mapping[str, Sequence[int]]:
    """The first column of each Insert, which is the id, by table. Relations come before their rows."""
    names: dict[int, str] = {}
    found: dict[str, list[int]] = {}
    for message in messages:
        if message[:1] == b"R":
            _schema, name, _ = message[5:].split(b"\0", 2)
            names[_relation(message)] = name.decode()
        elif message[:1] == b"I":  # I, relation (4), N, columns (2); of each column its kind, length (4) and text
            (length,) = struct.unpack_from(">I", message, 9)
            found.setdefault(names[_relation(message)], []).append(int(message[13 : 13 + length]))
    return found


def _relation(message: bytes) -> int:
    (relation,) = struct.unpack_from(">I", message, 1)
    return int(relation)


def _end(messages: Sequence[bytes]) -> str | None:
    """The end of the last transaction. C, flags (1), LSN of the commit (8), LSN of its end (8)."""
    for message in reversed(messages):
        if message[:1] == b"C":
            (end,) = struct.unpack_from(">Q", message, 10)
            return f"{end >> 32:X}/{end & 0xFFFFFFFF:X}"
    return None


def _number(lsn: str) -> int:
    high, _, low = lsn.partition("/")
    return int(high, 16) << 32 | int(low, 16)
