"""HTTP requests of the watch: with a deadline, without the environment's proxy, answers as JSON."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from ingest_service.errors import UserError
from ingest_service.urls import redacted

USER_AGENT = "gcc-platform-watch"
"""By it the ingest service knows that the watch runs."""
DEADLINE_SECONDS = 10.0
_MOST_BYTES = 64 * 2**20


class NoAnswer(UserError):
    """A server does not answer, or not as expected. The message says how, without a password."""


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session for requests to our own servers."""
    async with aiohttp.ClientSession(
        headers={"User-Agent": USER_AGENT},
        timeout=aiohttp.ClientTimeout(total=DEADLINE_SECONDS, connect=5),
        trust_env=False,
    ) as session:
        yield session


async def request(
    session: aiohttp.ClientSession, method: str, url: str, *, body: object = None, accepted: tuple[int, ...] = (200,)
) -> Any:
    """The answer's JSON, or its text if it is not JSON. User and password of the URL are sent as basic authentication.

    Raises NoAnswer: refused, too late, too large, or with a status that is not in `accepted`.
    """
    address = URL(url)
    shown = f"{redacted(url)}{address.path}"
    credentials = (
        {"Authorization": aiohttp.encode_basic_auth(address.user, address.password or "")} if address.user else None
    )
    try:
        async with session.request(
            method, address.with_user(None), json=body, headers=credentials, allow_redirects=False
        ) as answer:
            content = await _content(answer)
            if answer.status not in accepted:
                text = content[:200].decode(errors="replace").strip()
                raise NoAnswer(f"{shown} answers {answer.status}: {text}")
            return (
                json.loads(content) if answer.content_type == "application/json" else content.decode(errors="replace")
            )
    except aiohttp.ClientConnectorError as error:
        reason = os.strerror(error.errno) if error.errno else error.strerror
        raise NoAnswer(f"{shown} does not answer: {reason}") from None
    except TimeoutError:
        raise NoAnswer(f"{shown} does not answer within {DEADLINE_SECONDS:.0f} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NoAnswer(f"{shown} does not answer: {error or type(error).__name__}") from None


async def _content(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises NoAnswer if it is too large."""
    content = bytearray()
    async for chunk in answer.content.iter_chunked(1 << 16):
        content += chunk
        if len(content) > _MOST_BYTES:
            raise NoAnswer(f"{answer.url.origin()} answers with more than {_MOST_BYTES} bytes")
    return bytes(content)
