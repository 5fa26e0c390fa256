"""gcc-platform alerts: what Alertmanager has, a test of the whole way, and silences."""

import asyncio
import getpass
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gcc_platform.settings import Settings
from gcc_platform.watch.alertmanager import Alertmanager, Reported, Silence
from gcc_platform.watch.http_client import http_session
from gcc_platform.watch.page import duration
from gcc_platform.watch.settings import WatchSettings
from gcc_platform.watch.trial import Trial, try_alert
from ingest_service.commands.errors import exit_on_error
from ingest_service.errors import MissingSetting
from ingest_service.observability import safe_text

_DURATION = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_Result = TypeVar("_Result")


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print alerts and silences as one JSON object.")
@click.pass_context
@exit_on_error()
def alerts(context: click.Context, as_json: bool) -> None:
    """List what fires and what is silenced, as Alertmanager (ALERTMANAGER_URL) has it.

    \b
    Examples:
      gcc-platform alerts
      gcc-platform alerts test
      gcc-platform alerts silence alertname=CheckFailed asset=raw/post_log_events --for 2h --comment "known, #123"
      gcc-platform alerts unsilence 5b2c...
    """
    if context.invoked_subcommand is None:
        found, silences = _ask(_alerts_and_silences)
        if as_json:
            click.echo(
                json.dumps(
                    {"alerts": list(map(asdict, found)), "silences": list(map(asdict, silences))}, default=str, indent=2
                )
            )
        else:
            _show(found, silences)


@alerts.command("test")
@exit_on_error()
def test() -> None:
    """Send one alert through the whole way, and say what each receiver answered. Exits with 1 if one failed.

    The alert ends by itself, so that "resolved" arrives too, after the group_interval.

    \b
    Example:
      gcc-platform alerts test
    """
    result = _ask(lambda server: try_alert(server, getpass.getuser(), time.time))
    for line in _trial_lines(result):
        click.echo(line)
    sys.exit(1 if result.failed or not result.sent else 0)


@alerts.command()
@click.argument("labels", nargs=-1, required=True, metavar="LABEL=VALUE...")
@click.option("--for", "length", default="1h", show_default=True, metavar="DURATION", help="30m, 4h, 2d ...")
@click.option("--comment", required=True, help="Why: others read it.")
@exit_on_error()
def silence(labels: tuple[str, ...], length: str, comment: str) -> None:
    """Silence the alerts that have all of the labels, and print the silence's id.

    \b
    Examples:
      gcc-platform alerts silence alertname=ClickHouseDown --for 30m --comment "upgrade"
      gcc-platform alerts silence team=ingest type=trace_log --for 2d --comment "publisher is being fixed"
    """
    matchers, wanted = _labels(labels), _duration(length)
    click.echo(_ask(lambda server: server.silence(matchers, wanted, getpass.getuser(), comment)))


@alerts.command()
@click.argument("silence_id")
@exit_on_error()
def unsilence(silence_id: str) -> None:
    """End a silence. `gcc-platform alerts` lists the ids.

    \b
    Example:
      gcc-platform alerts unsilence 5b2c1f5e-...
    """
    _ask(lambda server: server.end_silence(silence_id))


def _ask(question: Callable[[Alertmanager], Awaitable[_Result]]) -> _Result:
    """Raises MissingSetting, BadUrl and NoAnswer."""
    url = Settings().urls.alertmanager
    if not url:
        raise MissingSetting(
            "ALERTMANAGER_URL is not set. Set it, or start a local Alertmanager: gcc-platform stack start"
        )
    return asyncio.run(_asked(url, question))


async def _asked(url: str, question: Callable[[Alertmanager], Awaitable[_Result]]) -> _Result:
    async with http_session() as session:
        return await question(Alertmanager(session, url, f"{WatchSettings().own_url}/runbook"))


async def _alerts_and_silences(server: Alertmanager) -> tuple[list[Reported], list[Silence]]:
    return await server.alerts(), await server.silences()


def _labels(texts: tuple[str, ...]) -> Mapping[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text} is not of the form LABEL=VALUE, e.g. alertname=ClickHouseDown")
        found[name] = value
    return found


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None or not int(match[1]):
        raise click.BadParameter(f"{text} is not a duration such as 30m, 4h or 2d", param_hint="--for")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _trial_lines(result: Trial) -> list[str]:
    if not result.sent and not result.failed:
        return [
            f"Alertmanager has the alert, and notified nobody within {result.seconds:.0f} s: it has no receiver, "
            "or the alert is silenced. Set GCC_ALERT_SLACK_URL, GCC_ALERT_WEBHOOK_URL or GCC_ALERT_EMAIL_TO and "
            "restart the local stack, or look at the receivers of your own Alertmanager"
        ]
    lines = [f"{name}: sent" for name in result.sent]
    return lines + [f"{name}: FAILED; Alertmanager's log has the reason" for name in result.failed]


def _show(found: list[Reported], silences: list[Silence]) -> None:
    console = Console(highlight=False)
    shown = [each for each in found if each.labels["alertname"] != "Watchdog"]
    console.print(_alert_table(shown) if shown else Text("Nothing fires.", "green"))
    if not any(each.labels["alertname"] == "Watchdog" for each in found):
        console.print(Text("No sign of life of gcc-platform watch: is it running?", "bold red"))
    for each in silences:
        until = f"{each.ends_at:%Y-%m-%d %H:%M} UTC by {each.created_by}"
        text = f"silence {each.id} until {until}: {', '.join(each.matchers)} ({each.comment})"
        console.print(Text(safe_text.line(text), "dim"), soft_wrap=True)


def _alert_table(found: list[Reported]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("state", "severity", "alert", "team", "since", "what is wrong"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "what is wrong")
    for each in sorted(found, key=lambda each: (each.state, each.labels.get("severity", ""), each.since)):
        state = each.state + (f" by {', '.join(each.muted_by)}" if each.muted_by else "")
        age = duration(time.time() - each.since.timestamp())
        labels = [safe_text.line(each.labels.get(name, "")) for name in ("severity", "alertname", "team")]
        table.add_row(state, *labels, age, Text(safe_text.line(each.annotations.get("summary", ""))))
    return table
