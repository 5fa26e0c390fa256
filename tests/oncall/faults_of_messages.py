"""Messages that cannot be stored, have no queue, or wait."""

import json
import urllib.request
from base64 import b64encode
from urllib.parse import quote, urlsplit

from ingest_service.events.contract import EXCHANGE
from tests.oncall.platform import Platform


def _publish(platform: Platform, routing_key: str, body: str) -> None:
    """One message through RabbitMQ's management API: whatever a crawler may send."""
    url = urlsplit(platform.environment["RABBITMQ_MANAGEMENT_URL"])
    message = {
        "properties": {"app_id": "planted"},
        "routing_key": routing_key,
        "payload": body,
        "payload_encoding": "string",
    }
    request = urllib.request.Request(
        f"http://{url.hostname}:{url.port}/api/exchanges/%2F/{EXCHANGE}/publish",
        json.dumps(message).encode(),
        {"Authorization": f"Basic {b64encode(f'{url.username}:{url.password}'.encode()).decode()}"},
    )
    urllib.request.urlopen(request, timeout=10).close()


def _purge(platform: Platform, queue: str) -> None:
    url = urlsplit(platform.environment["RABBITMQ_MANAGEMENT_URL"])
    request = urllib.request.Request(
        f"http://{url.hostname}:{url.port}/api/queues/%2F/{quote(queue)}/contents",
        headers={"Authorization": f"Basic {b64encode(f'{url.username}:{url.password}'.encode()).decode()}"},
        method="DELETE",
    )
    urllib.request.urlopen(request, timeout=10).close()


def _unroutable(platform: Platform) -> None:
    for _ in range(3):
        _publish(platform, "no_such_events", "{}")
