"""gcc-platform status: what is wrong now, worst first."""

import asyncio
import json
import sys
import time
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gcc_platform.commands.watch import folders
from gcc_platform.settings import Settings
from gcc_platform.watch import service
from gcc_platform.watch.http_client import NoAnswer, http_session, request
from gcc_platform.watch.page import duration, headline
from gcc_platform.watch.report import Line, Report
from gcc_platform.watch.settings import WatchSettings
from ingest_service.commands.errors import exit_on_error
from ingest_service.observability import logs, safe_text
from ingest_service.settings import Settings as IngestSettings

_STYLES = {"page": "bold red", "warn": "yellow"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as one JSON object.")
@exit_on_error()
def status(as_json: bool) -> None:
    """Show what is wrong now, worst first. Exits with 1 if something is.

    Asks the running watch (GCC_WATCH_URL). If it does not answer, this command says so, and looks itself.

    \b
    Examples:
      gcc-platform status
      gcc-platform status --json | jq -r '.alerts[] | "\\(.name): \\(.summary)"'
    """
    logs.configure(IngestSettings().log_format)  # to stderr: stdout may be JSON
    logs.silence_libraries()
    report = asyncio.run(_report(WatchSettings()))
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    else:
        _show(report)
    sys.exit(0 if report.is_well else 1)


async def _report(settings: WatchSettings) -> Report:
    async with http_session() as session:
        try:
            return Report.from_json(await request(session, "GET", f"{settings.own_url}/status.json"))
        except NoAnswer as error:
            click.echo(f"{click.style('warning:', fg='yellow')} the watch: {error}; looking without it", err=True)
    return await service.look_once(settings, Settings(), folders())


def _show(report: Report) -> None:
    console = Console(highlight=False)
    console.print(headline(report), style="green" if report.is_well else "bold")
    if report.alerts:
        console.print(_alerts(report))
    console.print(_components(report))


def _alerts(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("severity", "alert", "team", "since", "what is wrong, and what to do"):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"severity", "alert", "team", "since"})
    for line in report.alerts:
        style = _STYLES.get(line.severity, "") if line.state == "firing" else "dim"
        table.add_row(
            Text(line.severity if line.state == "firing" else line.state, style),
            line.name,
            line.team,
            duration(time.time() - line.since),
            _text(line),
        )
    return table


def _text(line: Line) -> Text:
    """Texts of messages are untrusted: control characters would move the cursor."""
    return Text.assemble(safe_text.line(line.summary), "\n", (f"-> {safe_text.line(line.do)}", "dim"))


def _components(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for each in report.components:
        style = "green" if each.state == "ok" else "red"
        table.add_row(each.name, Text(each.state, style), Text(safe_text.line(each.detail), "dim"))
    return table
