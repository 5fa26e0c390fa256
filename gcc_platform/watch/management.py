"""RabbitMQ's management plugin: the page of a queue, and what the API has of all queues."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp

from gcc_platform.watch.http_client import request


def queue_page(origin: str, virtual_host: str, queue: str) -> str:
    """The address of a queue's page. `origin` has neither user nor password."""
    return f"{origin}/#/queues/{quote(virtual_host, safe='')}/{quote(queue, safe='')}"


async def queues(
    session: aiohttp.ClientSession, url: str, virtual_host: str, columns: str
) -> Sequence[Mapping[str, Any]]:
    """The columns, by commas, of the queues of a virtual host. `url` has user and password. Raises NoAnswer."""
    host = quote(virtual_host, safe="")
    rows: list[Mapping[str, Any]] = await request(
        session, "GET", f"{url.rstrip('/')}/api/queues/{host}?columns={columns}"
    )
    return rows
