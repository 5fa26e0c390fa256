"""The tail by a logical slot: it names the rows that have committed, and the tails of the tables take them.

The gap ledger stays where it stood when the slot was created, and is right by itself: if the slot is lost, it goes on
from there, and what is taken twice collapses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.slot import Slot, SlotLost
from gcc_platform.migration.tail import Tail


@dataclass(frozen=True)
class SlotTail:
    """The tails of the tables of one slot."""

    state: Connection
    slot: Slot
    tails: Sequence[Tail]
    most: int = 50_000
    """Changes of one poll, and more to the end of their last transaction."""

    async def begin(self) -> None:
        """Create the slot, and take what was committed before; before polls. Raises NoSlot and what polls raise."""
        await self.slot.ensure()
        for tail in self.tails:
            await tail.catch_up()

    async def poll(self) -> int:
        """Take the rows that have committed since the last poll; how many.

        Raises psycopg.Error and InsertFailed; then the next poll takes the same rows.
        """
        try:
            changes = await self.slot.peek(self.most)
            taken = 0
            for tail in self.tails:
                taken += await tail.take(changes.ids.get(tail.table.name, ()))
            await self.slot.advance(changes.end)
        except SlotLost:
            await self.begin()
            return 0
        await self.state.execute(
            "UPDATE migration.tail SET slot_wal_bytes = %s, looked_at = now() WHERE legacy_table = ANY(%s)",
            [await self.slot.kept_bytes(), [tail.table.name for tail in self.tails]],
        )
        return taken
