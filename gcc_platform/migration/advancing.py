"""A table's next phase: decided by its gates, and recorded unless they refuse it."""

from gcc_platform.migration.gates.measured import Measuring
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.phases import deciding
from gcc_platform.migration.phases.deciding import Decision
from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.servers import Servers


async def advance(servers: Servers, table: LegacyTable, phase: Phase, by: str, *, dry_run: bool) -> Decision:
    """Let a table enter its next phase if every gate is green; `dry_run` records nothing. `by` is who asked for it.

    Raises WrongPhase, psycopg.Error and ClickHouseUnavailable.
    """
    settings, measuring = servers.settings, servers.measuring(table)
    decision = await deciding.advancing(measuring, phase, settings.days, settings.still_read_from_postgres)
    return await _entered(measuring, decision, by, dry_run=dry_run)


async def go_back(servers: Servers, table: LegacyTable, phase: Phase, by: str, *, dry_run: bool) -> Decision:
    """Let a table return to an earlier phase if it loses nothing by that. Raises what `advance` raises."""
    measuring = servers.measuring(table)
    return await _entered(measuring, await deciding.going_back(measuring, phase), by, dry_run=dry_run)


async def _entered(measuring: Measuring, decision: Decision, by: str, *, dry_run: bool) -> Decision:
    if not decision.red and not dry_run:
        await deciding.enter(measuring, decision, by)
    return decision
