"""The gates that a check of parity decides: it records what it has found."""

from collections.abc import Sequence
from datetime import date

from gcc_platform.migration.gates.results import GateResult
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.parity.bisecting import UNDER_WAY
from gcc_platform.migration.parity.dual_rows import LOST
from gcc_platform.migration.parity.totals import Mismatch
from gcc_platform.migration.postgres import Connection

TOTALS_AGREE = "totals_agree"
ROWS_EXPLAINED = "rows_explained"
NOTHING_LOST = "nothing_lost_before_the_broker"
MARTS_AGREE = "marts_agree"


def totals_agree(mismatches: Sequence[Mismatch], until: date) -> GateResult:
    """Rows, counts and sums of each day are the same in both engines."""
    reason = f"{len(mismatches)} totals of the days before {until} differ"
    if mismatches:
        reason += f", first {mismatches[0].metric.strip()} of {mismatches[0].day}"
    return GateResult(TOTALS_AGREE, not mismatches, reason, {"totals": len(mismatches), "until": str(until)})


async def rows_explained(state: Connection, table: LegacyTable) -> GateResult:
    """No difference of rows is open, apart from events that are under way."""
    found = await state.execute(
        """SELECT concat_ws(': ', kind, cause), count(*) FROM migration.differences
        WHERE legacy_table = %s AND resolved_at IS NULL AND cause IS DISTINCT FROM %s GROUP BY 1 ORDER BY 1""",
        [table.name, UNDER_WAY],
    )
    causes: dict[str, int] = dict(await found.fetchall())
    reason = f"{sum(causes.values())} differences are open"
    if causes:
        reason += f": {', '.join(f'{count} {cause}' for cause, count in causes.items())}"
    return GateResult(ROWS_EXPLAINED, not causes, reason, causes)


async def nothing_lost_before_the_broker(state: Connection, table: LegacyTable) -> GateResult:
    """No check since the last result has found a row whose event never came, whether it was repaired or not.

    What is repaired has landed, but by PostgreSQL's way: it proves nothing about RabbitMQ's.
    """
    found = await state.execute(
        """SELECT count(*) FROM migration.differences WHERE legacy_table = %(table)s AND cause = %(cause)s
            AND first_seen > coalesce((SELECT max(at) FROM migration.gate_results
                WHERE legacy_table = %(table)s AND gate = %(gate)s), '-infinity')""",
        {"table": table.name, "cause": LOST, "gate": NOTHING_LOST},
    )
    [count] = await found.fetchone() or (0,)
    return GateResult(NOTHING_LOST, count == 0, f"{count} events were lost before the broker", {"lost": count})


def marts_agree(different: Sequence[str], compared: int) -> GateResult:
    """Every mart is the same from both sides; `different` are the names of those that are not."""
    reason = f"{len(different)} of {compared} marts differ" + (f": {', '.join(different)}" if different else "")
    return GateResult(
        MARTS_AGREE, not different and compared > 0, reason, {"compared": compared, "different": list(different)}
    )
