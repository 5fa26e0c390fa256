"""gcc-platform migration advance and back: a table's next phase, and the way back."""

import getpass
import json
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

import click

from gcc_platform.commands.migration.servers import TABLE, with_servers
from gcc_platform.migration import advancing, legacy_database
from gcc_platform.migration.gates.drill import drill
from gcc_platform.migration.gates.results import GateResult, record
from gcc_platform.migration.legacy_tables import LEGACY_TABLES
from gcc_platform.migration.phases.deciding import Decision
from gcc_platform.migration.phases.phase import Phase
from gcc_platform.migration.servers import Servers
from ingest_service.commands.errors import exit_on_error

_Step = Callable[..., Coroutine[Any, Any, Decision]]

_PHASE = click.argument("phase", type=click.Choice([phase.value for phase in Phase]))
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only report what it would do. Nothing is recorded.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@TABLE
@_PHASE
@_DRY_RUN
@_JSON
@exit_on_error()
def advance(name: str, phase: Phase, dry_run: bool, as_json: bool) -> None:
    """Let a table enter its next phase, if every gate is green. Exits with 1 and names those that are not.

    The phases are legacy, dual, verified, reads, events, done. Gates that need days are green for GCC_MIGRATION_DAYS.

    \b
    Examples:
      gcc-platform migration advance profile_log dual
      gcc-platform migration advance profile_log verified --dry-run
    """
    decision = _enter(advancing.advance, name, phase, dry_run)
    _print(decision, dry_run, as_json)
    sys.exit(1 if decision.red else 0)


@click.command()
@TABLE
@_PHASE
@click.option("--drill", "only_drill", is_flag=True, help="Do not go back: prove that going back would lose nothing.")
@_DRY_RUN
@_JSON
@exit_on_error()
def back(name: str, phase: Phase, only_drill: bool, dry_run: bool, as_json: bool) -> None:
    """Let a table return to an earlier phase. From events only, it takes a reverse writer that has caught up.

    --drill rebuilds the newest rows that crawlers wrote to both sides from their events, in a temporary table of the
    old database, compares them value by value, and records the result: the gate rollback_tried.

    \b
    Examples:
      gcc-platform migration back profile_log reads
      gcc-platform migration back profile_log dual --drill
    """
    if only_drill:
        result = with_servers(lambda servers: _drill(servers, name, dry_run))
        click.echo(json.dumps(asdict(result)) if as_json else f"{name}: {result.reason}")
        sys.exit(0 if result.passed else 1)
    decision = _enter(advancing.go_back, name, phase, dry_run)
    _print(decision, dry_run, as_json)
    sys.exit(1 if decision.red else 0)


def _enter(step: _Step, name: str, phase: Phase, dry_run: bool) -> Decision:
    table, by = LEGACY_TABLES[name], getpass.getuser()
    return with_servers(lambda servers: step(servers, table, Phase(phase), by, dry_run=dry_run))


async def _drill(servers: Servers, name: str, dry_run: bool) -> GateResult:
    table = LEGACY_TABLES[name]
    async with legacy_database.writing(servers.settings.legacy) as old:
        result = await drill(old, servers.sides(table))
    if not dry_run:
        await record(servers.state, name, [result])
    return result


def _print(decision: Decision, dry_run: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(decision) | {"instruction": decision.instruction, "dry_run": dry_run}))
        return
    for gate in decision.gates:
        mark = click.style("green", fg="green") if gate.passed else click.style("red  ", fg="red")
        click.echo(f"{mark}  {gate.gate}: {gate.reason}")
    step = f"{decision.table}: {decision.came_from} -> {decision.phase}"
    if decision.red:
        click.echo(f"{step} is refused by {', '.join(each.gate for each in decision.red)}")
    elif dry_run:
        click.echo(f"{step} is possible. Then: {decision.instruction}")
    else:
        click.echo(f"{step}. Now {decision.instruction}")
