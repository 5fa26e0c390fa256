"""A check of one table: rows and totals of both sides, and what its gates make of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from gcc_platform.migration.gates import checked, results
from gcc_platform.migration.gates.results import GateResult
from gcc_platform.migration.legacy_database import has_event_id
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity import daily_totals, rows
from gcc_platform.migration.parity.bisecting import UNDER_WAY
from gcc_platform.migration.parity.daily_totals import Compared
from gcc_platform.migration.parity.dual_rows import Day
from gcc_platform.migration.parity.rows import Checked
from gcc_platform.migration.phases import deciding, history
from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.servers import Servers


@dataclass(frozen=True)
class Options:
    """What is compared."""

    rows: bool = True
    totals: bool = True
    days: int = 2
    """Of rows that crawlers wrote to both sides."""
    spooled: Sequence[str] = ()
    """Event_ids that wait in crawlers' spools."""
    deep: bool = False
    """Whether PostgreSQL reads all old rows again."""
    everything: bool = False
    """Whether every chunk and every day is compared, whatever is known of them."""


@dataclass(frozen=True)
class TableCheck:
    """What a check of one table found."""

    table: str
    chunks: Checked | None = None
    days: Mapping[date, Day] = field(default_factory=dict)
    totals: Compared | None = None
    gates: Sequence[GateResult] = ()
    phase: Phase = Phase.LEGACY

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs but events that are under way."""
        late = all(each.cause == UNDER_WAY for day in self.days.values() for each in day.differences)
        return late and not (self.totals and self.totals.mismatches) and not (self.chunks and self.chunks.different)


async def check_table(servers: Servers, table: LegacyTable, options: Options) -> TableCheck:
    """Compare the sides of a table, measure its gates, and record what they found.

    Raises psycopg.Error, InsertFailed and ClickHouseUnavailable.
    """
    today = datetime.now(UTC).date()
    chunks, compared = None, None
    days: Mapping[date, Day] = {}
    found: list[GateResult] = []
    if options.rows:
        chunks = await rows.check(servers.state, servers.sides(table), deep=options.deep, everything=options.everything)
        days = await _days(servers, table, today, options)
        found.append(await checked.rows_explained(servers.state, table))
        found.append(await checked.nothing_lost_before_the_broker(servers.state, table))
    if options.totals:
        sides = servers.sides(table)
        compared = await daily_totals.compare(servers.state, sides, today, every_day=options.everything)
        found.append(checked.totals_agree(compared.mismatches, today))
    found += await deciding.measure(await deciding.of_table(servers.measuring(table)))
    await results.record(servers.state, table.name, found)
    return TableCheck(table.name, chunks, days, compared, found, await history.current(servers.state, table.name))


async def _days(servers: Servers, table: LegacyTable, today: date, options: Options) -> Mapping[date, Day]:
    """The rows that crawlers wrote to both sides, compared day by day; today first. Queues of work have none."""
    if table.is_queue or not await has_event_id(servers.old, table):
        return {}
    dates = [today - timedelta(days=ago) for ago in range(options.days)]
    return {each: await rows.check_day(servers.state, servers.sides(table), each, options.spooled) for each in dates}
