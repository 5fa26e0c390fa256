import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tests.harness.orders import order, publish
from tests.harness.running import Table, eventually, service


@contextmanager
def sentry() -> Iterator[tuple[str, list[str]]]:
    """A place that takes envelopes as Sentry does: its DSN, and what it was sent."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(
                (gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body).decode()
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://key@127.0.0.1:{server.server_port}/1", received
    server.shutdown()


def test_a_type_that_halts_is_told_to_sentry_once_without_payload_or_password(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    table = Table(environment, "_e.order_log_events")
    with sentry() as (dsn, received), service({**environment, "GCC_SENTRY_DSN": dsn}, tmp_path) as running:
        running.wait_ready()
        table.command("RENAME TABLE {} TO _e.order_log_events_away")
        try:
            publish(environment, "order_log_events", order(1, dimensions={"bio": "PAYLOAD"}))
            eventually(lambda: running.status("order_log")["retries"].get("config_fault/unknown_table", 0) > 3)
            eventually(lambda: received)
        finally:
            table.command("RENAME TABLE _e.order_log_events_away TO {}")
        eventually(lambda: table.count() == 1)
        assert running.terminate() == 0
    events = [json.loads(line) for text in received for line in text.splitlines() if "unknown_table" in line]
    assert len(events) == 1
    assert events[0]["extra"]["type"] == "order_log"
    password = environment["CLICKHOUSE_URL"].split(":")[2].partition("@")[0]
    assert "PAYLOAD" not in "".join(received)
    assert password not in "".join(received)
