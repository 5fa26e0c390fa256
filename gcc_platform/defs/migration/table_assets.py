"""The assets of one old table: its backfill, tail, parity and reverse writer, in the order of the flow."""

import asyncio
from collections.abc import Iterator, Sequence

import dagster as dg

from gcc_platform.defs.migration import gates, keys
from gcc_platform.migration import backfill as backfilling
from gcc_platform.migration.backfill import Backfill
from gcc_platform.migration.checking import Options, TableCheck, check_table
from gcc_platform.migration.chunks import Chunk, Outcome
from gcc_platform.migration.copied_rows import Pace
from gcc_platform.migration.gates import measured
from gcc_platform.migration.legacy_table import LegacyTable
from gcc_platform.migration.servers import connect
from gcc_platform.migration.settings import MigrationSettings
from gcc_platform.migration.status import TableStatus, status

_OWNERS = ["team:platform"]
_ABSENT = "the old database has no such table"


class Slice(dg.Config):
    """How much of the backfill a run does."""

    rows: int | None = None
    """At most about this number; by default GCC_MIGRATION_SLICE_ROWS."""
    workers: int = 1
    rows_per_second: float | None = None


class Comparison(dg.Config):
    """What a run compares."""

    days: int = 2
    """Of rows that crawlers wrote to both sides."""
    deep: bool = False
    """Whether PostgreSQL reads all old rows again."""


def assets_of(table: LegacyTable) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets of a table."""
    found: list[dg.AssetsDefinition | dg.AssetSpec] = [_backfill(table), _tail(table), _parity(table)]
    return [*found, _reverse(table)] if table.name in keys.REVERSED else found


def daemon_checks(table: LegacyTable) -> Sequence[dg.AssetCheckSpec]:
    """The checks of the daemons, which a sensor reports."""
    found = [*gates.specs(keys.tail(table.name), [measured.TAIL_CAUGHT_UP], blocking=False)]
    if table.name in keys.REVERSED:
        found += gates.specs(keys.reverse(table.name), [measured.REVERSE_CAUGHT_UP], blocking=False)
    return found


def _backfill(table: LegacyTable) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.backfill(table.name),
        group_name=keys.GROUP,
        kinds={"postgres", "clickhouse"},
        owners=_OWNERS,
        description=f"The rows of the old table {table.name} in {table.raw_table}, newest first. A run does a slice.",
    )
    def backfill(config: Slice) -> dg.MaterializeResult[None]:
        after = asyncio.run(_slice(table, config))
        if after is None:
            return dg.MaterializeResult(metadata={"rows": 0, "why": _ABSENT})
        return dg.MaterializeResult(
            metadata={
                "rows": after.rows,
                "chunks": after.chunks,
                "chunks_done": after.done,
                "chunks_failed": after.failed,
                "rejected": after.rejected,
                "rows_per_second": after.rows_per_second,
            }
        )

    return backfill


async def _slice(table: LegacyTable, config: Slice) -> TableStatus | None:
    """Do a slice; None if the old database has no such table."""
    settings, done = MigrationSettings(), 0
    most = config.rows or settings.slice_rows

    def report(chunk: Chunk, outcome: Outcome) -> None:  # noqa: ARG001
        nonlocal done
        done += outcome.written

    async with connect(settings) as servers:
        if table not in await servers.tables([]):
            return None
        await backfilling.plan(servers.old, servers.state, table, settings.chunk_rows, lambda: None)
        work = Backfill(
            settings.legacy,
            settings.state,
            servers.clickhouse,
            servers.database,
            Pace(config.rows_per_second),
            report,
            lambda: done >= most,
        )
        await work.run([table], config.workers)
        [after] = [each for each in await status(servers.state) if each.table == table.name]
    if after.failed:
        raise dg.Failure(f"{after.failed} of {after.chunks} chunks of {table.name} failed: {after.error}")
    return after


def _tail(table: LegacyTable) -> dg.AssetSpec:
    return dg.AssetSpec(
        keys.tail(table.name),
        group_name=keys.GROUP,
        kinds={"postgres", "clickhouse"},
        owners=_OWNERS,
        deps=[keys.backfill(table.name)],
        description=f"What crawlers not yet upgraded write to {table.name}: gcc-platform migration tail takes it over.",
    )


def _reverse(table: LegacyTable) -> dg.AssetSpec:
    return dg.AssetSpec(
        keys.reverse(table.name),
        group_name=keys.GROUP,
        kinds={"clickhouse", "postgres"},
        owners=_OWNERS,
        deps=[keys.parity(table.name)],
        description=f"The events that only {table.raw_table} has, as rows of {table.name}: "
        "gcc-platform migration reverse writes them, so that going back loses nothing.",
    )


def _parity(table: LegacyTable) -> dg.AssetsDefinition:
    key = keys.parity(table.name)

    @dg.asset(
        key=key,
        group_name=keys.GROUP,
        kinds={"postgres", "clickhouse"},
        owners=_OWNERS,
        deps=[keys.backfill(table.name), keys.tail(table.name)],
        check_specs=gates.specs(key, gates.OF_PARITY, blocking=True),
        description=f"Checksums, totals and the last days of {table.name} on both sides. Its gates are checks.",
    )
    def parity(config: Comparison) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        found = asyncio.run(_compared(table, Options(days=config.days, deep=config.deep)))
        if found is None:
            yield dg.MaterializeResult(asset_key=key, metadata={"why": _ABSENT})
            yield from gates.nothing_to_check(key, gates.OF_PARITY, _ABSENT)
            return
        yield dg.MaterializeResult(asset_key=key, metadata=_numbers(found))
        yield from gates.check_results(key, found.gates, gates.OF_PARITY, gates.severity(found.phase))

    return parity


async def _compared(table: LegacyTable, options: Options) -> TableCheck | None:
    """Compare; None if the old database has no such table."""
    async with connect(MigrationSettings()) as servers:
        if table not in await servers.tables([]):
            return None
        return await check_table(servers, table, options)


def _numbers(found: TableCheck) -> dict[str, int]:
    return {
        "chunks_equal": found.chunks.sealed if found.chunks else 0,
        "chunks_different": found.chunks.different if found.chunks else 0,
        "rows_written_to_both": sum(day.rows for day in found.days.values()),
        "rows_different": sum(len(day.differences) for day in found.days.values()),
        "totals_different": len(found.totals.mismatches) if found.totals else 0,
    }
