"""Plans a replay, which forecasts its outcome, and carries it out: for the command and for Dagster's job."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from ingest_service.archive.forecast import Forecasts
from ingest_service.archive.replay import Replay
from ingest_service.archive.table import DeadLetterCount, DeadLetterTable, Selection, State
from ingest_service.clickhouse import client as clickhouse
from ingest_service.events.contract import EXCHANGE, EventType
from ingest_service.settings import Settings

_QUERY_SECONDS = 120


@dataclass(frozen=True)
class Plan:
    """The dead letters that a replay will publish."""

    selection: Selection
    to: EventType | None
    """The event type to publish all letters as; None: each as its own type."""
    limit: int | None
    """Publish at most this number of them."""
    groups: Sequence[DeadLetterCount]
    replayed: int
    """Skipped, because they were replayed already."""
    failed_again: int
    """Skipped, because they failed again after a replay."""
    forecasts: Forecasts

    @property
    def selected(self) -> int:
        """Number of letters that can be published."""
        return sum(group.letters for group in self.groups) - self.forecasts.total().elsewhere

    @property
    def count(self) -> int:
        """Number of letters to publish."""
        return self.selected if self.limit is None else min(self.limit, self.selected)

    def lines(self) -> Iterator[str]:
        """Describe the plan in a few lines of text."""
        skipped = (
            f"; skipped: {self.replayed} already replayed, {self.failed_again} failed again (--again includes them)"
            if self.replayed or self.failed_again
            else ""
        )
        of = f" of {self.selected}" if self.count < self.selected else ""
        yield f"{self.count}{of} letters to publish again{f' as {self.to.name}' if self.to else ''}{skipped}"
        found = self.forecasts.total()
        if found.elsewhere:
            yield (
                f"{found.elsewhere} more are skipped: the address in their headers is not {EXCHANGE} with their type's "
                "routing key (--to TYPE publishes them as events of TYPE)"
            )
        them = f"the {self.selected}" if of else "them"
        if found.refused:
            reasons = ", ".join(f"{reason} {count}" for reason, count in found.refused.most_common())
            yield f"{found.refused.total()} of {them} would be refused again: {reasons}"
        if found.not_known:
            yield f"{found.not_known} of {them} may be refused again: their table refused them before"


async def make(
    settings: Settings, chosen: Selection, *, again: bool = False, to: EventType | None = None, limit: int | None = None
) -> Plan:
    """Count the letters, and validate their bodies. With `again`, those that were replayed before are included.

    Raises MissingUrl, BadUrl and ClickHouseUnavailable.
    """
    async with letter_table(settings) as table:
        states = tuple(State) if again else (State.WAITING,)
        now = await table.now()  # letters that return meanwhile are not published twice
        selection = msgspec.structs.replace(chosen, states=states, archived_until=now)
        groups, found = await table.groups(selection), await table.groups(chosen)
        forecasts = Forecasts(settings, to)
        await forecasts.read(table, selection)
    return Plan(
        selection,
        to,
        limit,
        groups,
        0 if again else sum(group.replayed for group in found),
        0 if again else sum(group.failed_again for group in found),
        forecasts,
    )


async def carry_out(settings: Settings, plan: Plan, recorded: Callable[[int], None], rate: float | None = None) -> None:
    """Publish the letters, at most `rate` a second; calls `recorded` with the size of each recorded chunk.

    Raises MissingUrl, BadUrl, NotConfirmed, InsertFailed and ClickHouseUnavailable; recorded chunks stay recorded.
    """
    async with letter_table(settings) as table:
        await Replay(settings.amqp(), table, rate, plan.to).run(plan.selection, recorded, plan.limit)


@asynccontextmanager
async def letter_table(settings: Settings) -> AsyncIterator[DeadLetterTable]:
    """Connect to the table of dead letters. Raises MissingUrl or BadUrl."""
    async with clickhouse.connected(settings.clickhouse(), _QUERY_SECONDS) as server:
        yield DeadLetterTable(server)
