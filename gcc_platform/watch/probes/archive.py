"""Whether the archive of dead letters works."""

import aiohttp

from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.http_client import NoAnswer, request
from gcc_platform.watch.seen import Component, Seen

_NAME = "archive"


async def look(session: aiohttp.ClientSession, url: str) -> Seen:
    """Read /ready."""
    try:
        ready = await request(session, "GET", f"{url}/ready", accepted=(200, 503))
    except NoAnswer as error:
        found = Alert.of(KINDS["ArchiveDown"], f"the archive of dead letters: {error}", cause="archive")
        return Seen((found,), (Component(_NAME, "down", str(error)),), complete=False)
    obstacles = "; ".join(f"{name}: {why}" for name, why in ready["obstacles"].items())
    if not obstacles:
        return Seen(components=(Component(_NAME, "ok", "", f"{url}/status"),))
    found = Alert.of(KINDS["ArchiveFailing"], f"dead letters are not archived: {obstacles}", cause="archive")
    return Seen((found,), (Component(_NAME, "failing", obstacles, f"{url}/status"),))
