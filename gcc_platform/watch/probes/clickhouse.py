"""Whether ClickHouse answers a query, and how full its disks are."""

import json
from collections.abc import Iterator

import aiohttp
from yarl import URL

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.http_client import NoAnswer, request
from gcc_platform.watch.probes.disks import filling
from gcc_platform.watch.seen import Component, Seen

_NAME = "ClickHouse"
_QUERY = (
    "SELECT version() AS version, name, free_space AS free, total_space AS total FROM system.disks "
    'WHERE total_space > 0 AND NOT is_remote SETTINGS max_execution_time = 5, log_comment = \'{"watch": "disks"}\' '
    "FORMAT JSONEachRow"
)


async def look(session: aiohttp.ClientSession, url: str) -> Seen:
    """Run one query as the sync's user."""
    try:
        answer = await request(session, "POST", str(URL(url).with_query(query=_QUERY)))
    except NoAnswer as error:
        found = Alert.of(KINDS["ClickHouseDown"], f"ClickHouse: {error}")
        return Seen((found,), (Component(_NAME, "down", str(error)),), complete=False)
    rows = list(_rows(str(answer)))
    alerts = [filling(f"{_NAME} {name}", free, total) for _, name, free, total in rows]
    version = rows[0][0] if rows else ""
    return Seen(tuple(filter(None, alerts)), (Component(_NAME, "ok", version),))


def _rows(text: str) -> Iterator[tuple[str, str, int, int]]:
    for line in text.splitlines():
        row = json.loads(line)
        yield row["version"], row["name"], int(row["free"]), int(row["total"])
