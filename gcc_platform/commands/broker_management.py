"""Asks RabbitMQ's management API: the version, each queue with its arguments and policies, our exchange."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from gcc_platform.watch import management
from gcc_platform.watch.http_client import http_session, request
from ingest_service.events.contract import EXCHANGE

_COLUMNS = "name,type,durable,auto_delete,arguments,policy,operator_policy,effective_policy_definition"

Values = Mapping[str, Any]


@dataclass(frozen=True)
class QueueFacts:
    """A queue as the broker has it."""

    name: str
    properties: Values
    """durable, auto_delete, and the arguments by their names (x-...), x-queue-type always among them."""
    policy: Values
    """The definitions of all policies that apply, by their names without x-."""
    policy_name: str
    """The names of these policies."""

    @classmethod
    def of(cls, row: Values) -> Self:
        """The queue in a row of the API's answer."""
        names = filter(None, (row.get("policy"), row.get("operator_policy")))
        own = {"durable": row["durable"], "auto_delete": row["auto_delete"], "x-queue-type": row["type"]}
        return cls(row["name"], {**row["arguments"], **own}, row.get("effective_policy_definition") or {},
                   ", ".join(names))  # fmt: skip


@dataclass(frozen=True)
class BrokerFacts:
    """What the management API answers."""

    version: str
    queues: Mapping[str, QueueFacts]
    """By name, those of one virtual host."""
    alternate_exchange: str
    """Where our exchange sends messages without a queue; empty if nowhere."""


async def ask(url: str, virtual_host: str) -> BrokerFacts:
    """Ask the API at a URL with user and password. Raises NoAnswer."""
    api, host = f"{url.rstrip('/')}/api", quote(virtual_host, safe="")
    async with http_session() as session:
        overview = await request(session, "GET", f"{api}/overview")
        rows = await management.queues(session, url, virtual_host, _COLUMNS)
        alternate = await _alternate_exchange(session, api, host)
    queues = {row["name"]: QueueFacts.of(row) for row in rows}
    return BrokerFacts(str(overview["rabbitmq_version"]), queues, alternate)


async def _alternate_exchange(session: aiohttp.ClientSession, api: str, host: str) -> str:
    """By its argument, else by its policy, of which an exchange has only the name."""
    exchange = await request(session, "GET", f"{api}/exchanges/{host}/{EXCHANGE}", accepted=(200, 404))
    if found := exchange.get("arguments", {}).get("alternate-exchange"):
        return str(found)
    if not (name := exchange.get("policy")):
        return ""
    policy = await request(session, "GET", f"{api}/policies/{host}/{quote(name, safe='')}")
    return str(policy["definition"].get("alternate-exchange", ""))
