"""Whether what RabbitMQ confirmed is in ClickHouse: its statistics, compared with the ledger, by event type."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from gcc_platform.watch import management
from gcc_platform.watch.account import REPORT_SECONDS, Account, Counts
from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.http_client import NoAnswer, request
from gcc_platform.watch.seen import Reconciliation, Seen
from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES

_COLUMNS = "name,messages,message_stats.publish"

# An insert's line may be visible a little later than its landed_at: the last minute is read again by the next look.
_LEDGER = (
    "SELECT toUnixTimestamp64Milli(now64(3)) - 60000 AS cut, "
    "sumMapIf(map(type, rows), toUnixTimestamp64Milli(landed_at) < cut) AS complete, "
    "sumMapIf(map(type, rows), toUnixTimestamp64Milli(landed_at) >= cut) AS newest FROM _e.ingest_batches "
    "WHERE landed_at >= fromUnixTimestamp64Milli(if({since:Int64} = 0, cut, {since:Int64})) "
    "AND batch != '' AND NOT startsWith(batch, 'migration/') "
    "SETTINGS max_execution_time = 5, output_format_json_quote_64bit_integers = 0, "
    'log_comment = \'{"watch": "accounts"}\' FORMAT JSONEachRow'
)


@dataclass
class AccountsProbe:
    """Looks at one broker and one ledger. It remembers the counters since the first look."""

    management_url: str
    """With user and password."""
    virtual_host: str
    clickhouse_url: str
    clock: Callable[[], float]
    _accounts: dict[str, Account] = field(default_factory=dict)
    _landed: Counter[str] = field(default_factory=Counter)
    """Rows that landed before `_since`."""
    _since: int = 0
    """By ClickHouse's clock, in milliseconds; 0 before the first look."""

    async def look(self, session: aiohttp.ClientSession) -> Seen:
        """Ask the broker first: what has left a queue by then is in the ledger when that is asked."""
        try:
            rows = await management.queues(session, self.management_url, self.virtual_host, _COLUMNS)
            landed = await self._ledger(session)
        except NoAnswer:
            return Seen(complete=False)  # the probes of these servers report it
        queues = {row["name"]: row for row in rows}
        for each in EVENT_TYPES.values():
            self._update(each, queues, landed)
        return Seen(tuple(self._alerts()), reconciliation=tuple(self._reconciliation()))

    async def _ledger(self, session: aiohttp.ClientSession) -> Counter[str]:
        url = URL(self.clickhouse_url).with_query(query=_LEDGER, param_since=self._since)
        row = json.loads(await request(session, "POST", str(url)))
        self._landed.update(row["complete"])
        self._since = row["cut"]
        return self._landed + Counter(row["newest"])

    def _update(self, event_type: EventType, queues: Mapping[str, Mapping[str, Any]], landed: Counter[str]) -> None:
        queue, errors = queues.get(event_type.queue), queues.get(event_type.error_queue)
        if queue is None or errors is None or "messages" not in queue:
            return  # missing, or declared just now
        counts = Counts(_confirmed(queue), queue["messages"], landed[event_type.name], _confirmed(errors))
        if account := self._accounts.get(event_type.name):
            account.add(counts)
        else:
            self._accounts[event_type.name] = Account(counts, self.clock)

    def _alerts(self) -> Iterator[Alert]:
        for name, account in self._accounts.items():
            if missing := account.missing:
                summary = (
                    f"{name}: at least {missing} messages left the queue during the last "
                    f"{REPORT_SECONDS / 3600:.0f} h, and neither landed nor became dead letters"
                )
                yield Alert.of(KINDS["MessagesMissing"], summary, about={"type": name})

    def _reconciliation(self) -> Iterator[Reconciliation]:
        for name, account in self._accounts.items():
            opening, newest = account.opening, account.newest
            yield Reconciliation(
                name,
                account.opened_at,
                opening.waiting,
                newest.confirmed - opening.confirmed,
                newest.landed - opening.landed,
                newest.dead_letters - opening.dead_letters,
                newest.waiting,
            )


def _confirmed(queue: Mapping[str, Any]) -> int:
    """RabbitMQ has no statistics of a queue that nothing was published to lately: none, or an empty list of them.

    It counts a channel's messages every few seconds: the last ones of a channel that is closed may stay uncounted. So
    messages of short connections hide missing ones, and never show any.
    """
    statistics = queue.get("message_stats") or {}
    return int(statistics.get("publish", 0))
