"""A check of one table: rows and totals of both sides, and what its gates make of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from gcc_platform.migration.gates import checked, results
from gcc_platform.migration.gates.results import GateResult
from gcc_platform.migration.legacy_database import has_event_id
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity import daily_totals, rows, series
from gcc_platform.migration.parity.bisecting import UNDER_WAY
from gcc_platform.migration.parity.daily_totals import Compared
from gcc_platform.migration.parity.dual_rows import Day
from gcc_platform.migration.parity.rows import Checked
from gcc_platform.migration.parity.series import Witness
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
    witness: Witness | None = None
    """Of a log with a table of series."""
    gates: Sequence[GateResult] = ()
    phase: Phase = Phase.LEGACY

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs but events that are under way."""
        if self.witness and not self.witness.agrees:
            return False
        late = all(each.cause == UNDER_WAY for day in self.days.values() for each in day.differences)
        return late and not (self.totals and self.totals.mismatches) and not (self.chunks and self.chunks.different)


async def check_table(servers: Servers, table: LegacyTable, options: Options) -> TableCheck:
    """Compare the sides of a table, measure its gates, and record what they found.

    Raises psycopg.Error, InsertFailed and ClickHouseUnavailable.
    """
    today, sides = datetime.now(UTC).date(), servers.sides(table)
    phase = await history.current(servers.state, table.name)
    chunks, compared, witness = None, None, None
    days: Mapping[date, Day] = {}
    found: list[GateResult] = []
    if options.rows:
        witness = await _witness(servers, table, today, options.days)
        chunks = await rows.check(servers.state, sides, deep=options.deep, everything=options.everything)
        days = await _days(servers, table, today, options)
        found.append(await checked.rows_explained(servers.state, table))
        found.append(await checked.nothing_lost_before_the_broker(servers.state, table))
    if options.totals:
        compared = await daily_totals.compare(servers.state, sides, today, every_day=options.everything)
        found.append(checked.totals_agree(compared.mismatches, today))
    found += await deciding.measure(servers.measuring(table), phase)
    await results.record(servers.state, table.name, found)
    return TableCheck(table.name, chunks, days, compared, witness, found, phase)


async def check_series(servers: Servers, table: LegacyTable) -> TableCheck:
    """Compare what was brought of a table of series with what ClickHouse has. Raises what `check_table` raises."""
    return TableCheck(table.name, await rows.check_series(servers.state, servers.sides(table)))


async def _witness(servers: Servers, table: LegacyTable, today: date, days: int) -> Witness | None:
    """The log's rows of the last days beside those of its table of series; None if there is none."""
    first, until = today - timedelta(days=max(0, days - 1)), today + timedelta(days=min(1, days))
    return await series.compare(servers.old, table, servers.database, first, until)


async def _days(servers: Servers, table: LegacyTable, today: date, options: Options) -> Mapping[date, Day]:
    """The rows that crawlers wrote to both sides, compared day by day; today first. Queues of work have none."""
    if table.is_queue or not await has_event_id(servers.old, table):
        return {}
    dates = [today - timedelta(days=ago) for ago in range(options.days)]
    return {each: await rows.check_day(servers.state, servers.sides(table), each, options.spooled) for each in dates}
