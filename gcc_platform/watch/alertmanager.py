"""Alertmanager's API, version 2: alerts and silences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.http_client import request
from gcc_platform.watch.memory import Ended, Firing

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Reported:
    """An alert as Alertmanager has it."""

    labels: Labels
    annotations: Labels
    link: str
    since: datetime
    silenced_by: Sequence[str]
    """Ids of silences."""
    muted_by: Sequence[str]
    """Names of the alerts that explain it."""
    receivers: Sequence[str]

    @property
    def state(self) -> str:
        """firing, silenced or muted."""
        return "silenced" if self.silenced_by else "muted" if self.muted_by else "firing"


@dataclass(frozen=True)
class Silence:
    """A silence that is in force."""

    id: str
    matchers: Sequence[str]
    ends_at: datetime
    created_by: str
    comment: str


@dataclass(frozen=True)
class Alertmanager:
    """One Alertmanager. Every method raises NoAnswer."""

    session: aiohttp.ClientSession
    url: str
    runbook_url: str
    """The runbook's page, to which an alert's anchor is added."""

    async def send(self, firing: Iterable[Firing], ended: Iterable[Ended], always: Iterable[Alert] = ()) -> None:
        """Report what is wrong, and what is wrong no longer.

        What is wrong is sent without a start and an end: Alertmanager 0.25 keeps the first time, and ends what is not
        repeated for its resolve_timeout. An end alone would become the start as well.
        """
        body = [self._alert(each.alert) for each in firing] + [self._alert(alert) for alert in always]
        body += [
            {**self._alert(each.alert), "startsAt": _time(each.started_at), "endsAt": _time(each.ended_at)}
            for each in ended
        ]
        await request(self.session, "POST", f"{self.url}/api/v2/alerts", body=body)

    async def alerts(self) -> list[Reported]:
        """All alerts that have not ended, also silenced and muted ones."""
        found = await request(self.session, "GET", f"{self.url}/api/v2/alerts")
        names = {each["fingerprint"]: each["labels"]["alertname"] for each in found}
        return [_reported(each, names) for each in found]

    async def silences(self) -> list[Silence]:
        """The silences in force."""
        found = await request(self.session, "GET", f"{self.url}/api/v2/silences")
        return [_silence(each) for each in found if each["status"]["state"] == "active"]

    async def silence(self, matchers: Labels, duration: timedelta, created_by: str, comment: str) -> str:
        """Silence the alerts that have all these labels. Returns the silence's id."""
        now = datetime.now(UTC)
        body = {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in matchers.items()
            ],
            "startsAt": now.isoformat(),
            "endsAt": (now + duration).isoformat(),
            "createdBy": created_by,
            "comment": comment,
        }
        return str((await request(self.session, "POST", f"{self.url}/api/v2/silences", body=body))["silenceID"])

    async def end_silence(self, silence_id: str) -> None:
        """End a silence now."""
        await request(self.session, "DELETE", f"{self.url}/api/v2/silence/{silence_id}")

    async def metrics(self) -> str:
        """Its own metrics, in Prometheus' text format."""
        return str(await request(self.session, "GET", f"{self.url}/metrics"))

    def _alert(self, alert: Alert) -> dict[str, Any]:
        return {
            "labels": alert.labels,
            "annotations": {
                "summary": alert.summary,
                "do": alert.kind.do,
                "runbook": f"{self.runbook_url}#{alert.kind.anchor}",
            },
            "generatorURL": alert.link,
        }


def _reported(each: Mapping[str, Any], names: Mapping[str, str]) -> Reported:
    status = each["status"]
    return Reported(
        each["labels"],
        each["annotations"],
        each.get("generatorURL", ""),
        datetime.fromisoformat(each["startsAt"]),
        status["silencedBy"],
        sorted({names.get(fingerprint, fingerprint) for fingerprint in status["inhibitedBy"]}),
        [receiver["name"] for receiver in each["receivers"]],
    )


def _silence(each: Mapping[str, Any]) -> Silence:
    return Silence(
        each["id"],
        [_matcher(matcher) for matcher in each["matchers"]],
        datetime.fromisoformat(each["endsAt"]),
        each["createdBy"],
        each["comment"],
    )


def _matcher(matcher: Mapping[str, Any]) -> str:
    operators = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
    operator = operators[matcher.get("isEqual", True), matcher["isRegex"]]
    return f"{matcher['name']}{operator}{matcher['value']}"


def _time(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat()
