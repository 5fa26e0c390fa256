"""RabbitMQ's management API, asked by nothing of ours."""

import json
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit


def management(stack: Mapping[str, str], method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
    """Ask the broker, or change something of it."""
    url = urlsplit(stack["RABBITMQ_MANAGEMENT_URL"])
    credentials = b64encode(f"{url.username}:{url.password}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{url.port}/api/{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: bytes = answer.read()
        return found


def escaped(name: str) -> str:
    """A name within a path."""
    return quote(name, safe="")
