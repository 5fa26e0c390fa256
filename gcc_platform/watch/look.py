"""One look at everything: all probes at the same time, each with a deadline of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import structlog

from gcc_platform.migration.settings import MigrationSettings
from gcc_platform.settings import Settings
from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.probes import archive, clickhouse, disks, migration, postgres
from gcc_platform.watch.probes.accounts import AccountsProbe
from gcc_platform.watch.probes.broker import BrokerProbe
from gcc_platform.watch.probes.dagster import DagsterProbe
from gcc_platform.watch.probes.ingest import IngestProbe
from gcc_platform.watch.seen import Seen
from gcc_platform.watch.settings import WatchSettings
from ingest_service import urls
from ingest_service.settings import Settings as IngestSettings

_DEADLINE_SECONDS = 30
"""Each request has a shorter one; this bounds all of a probe's requests together."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()

_Probe = Callable[[], Awaitable[Seen]]


@dataclass
class Look:
    """The probes of what is configured. They remember some numbers from look to look."""

    probes: Mapping[str, _Probe] = field(default_factory=dict)

    async def __call__(self) -> dict[str, Seen]:
        """Look once. The results are by probe. A probe that fails is a finding, and stops no other."""
        found = await asyncio.gather(*(_guarded(name, probe) for name, probe in self.probes.items()))
        return dict(zip(self.probes, found, strict=True))


async def _guarded(name: str, probe: _Probe) -> Seen:
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            return await probe()
    except Exception as error:  # noqa: BLE001  a defect of the probe, or an answer of unknown shape: the others must go on
        _log.exception("probe failed", probe=name)
        summary = f"the watch cannot look at {name}: {type(error).__name__}: {error}"
        return Seen((Alert.of(KINDS["ProbeFailed"], summary, about={"probe": name}),), complete=False)


def look_of(
    settings: WatchSettings,
    servers: Settings,
    session: aiohttp.ClientSession,
    folders: Iterable[Path],
    clock: Callable[[], float],
) -> Look:
    """The probes for these settings. Raises MissingUrl and BadUrl."""
    amqp = IngestSettings().amqp()
    virtual_host = urls.parse(amqp, "AMQP_URL", urls.AMQP).virtual_host
    broker = BrokerProbe(amqp, virtual_host, settings.management, clock)
    warehouse, serving = servers.urls.sync_clickhouse, servers.urls.sync_postgres
    existing = list(folders)
    probes: dict[str, _Probe] = {
        "broker": broker.look,
        "clickhouse": lambda: clickhouse.look(session, warehouse),
        "postgres": lambda: postgres.look(serving),
        "disks": lambda: asyncio.to_thread(disks.look, existing),
    }
    if settings.management_url:
        accounts = AccountsProbe(settings.management_url.get_secret_value(), virtual_host, warehouse, clock)
        probes["accounts"] = lambda: accounts.look(session)
    moving = MigrationSettings()
    if moving.is_on:
        probes["migration"] = lambda: migration.look(moving.state)
    if settings.ingest:
        ingest = IngestProbe(settings.ingest, clock)
        probes["ingest"] = lambda: ingest.look(session)
    if settings.archive:
        probes["archive"] = lambda: archive.look(session, settings.archive)
    if settings.dagster:
        dagster = DagsterProbe(settings.dagster, clock, clock())
        probes["dagster"] = lambda: dagster.look(session)
    return Look(probes)
