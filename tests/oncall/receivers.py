"""An HTTP server and an SMTP server that keep what Alertmanager sends them."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.harness.running import eventually


@dataclass(frozen=True)
class Notice:
    """An alert as part of a message."""

    status: str
    """firing or resolved."""
    labels: dict[str, str]
    annotations: dict[str, str]
    at: float

    def has(self, labels: dict[str, str]) -> bool:
        """Whether it has all of these labels."""
        return labels.items() <= self.labels.items()


@dataclass
class Received:
    """Everything that arrived."""

    notices: list[Notice] = field(default_factory=list)
    """By HTTP, in order."""
    pulses: list[float] = field(default_factory=list)
    """When the dead man's switch was called."""
    emails: list[Any] = field(default_factory=list)
    http_port: int = 0
    smtp_port: int = 0

    def of(self, status: str, since: float, **labels: str) -> list[Notice]:
        """The notices with these labels since a time."""
        return [each for each in self.notices if each.status == status and each.at >= since and each.has(labels)]

    def wait(self, status: str, since: float, seconds: float, **labels: str) -> Notice:
        """The first such notice. Fails after a deadline, with what arrived instead."""
        try:
            found: Notice = eventually(lambda: next(iter(self.of(status, since, **labels)), None), seconds)
        except AssertionError:
            others = [(each.status, each.labels) for each in self.notices if each.at >= since]
            raise AssertionError(f"no {status} {labels} within {seconds} s, but {others}") from None
        return found

    def subjects(self) -> list[str]:
        """The subjects of all e-mails."""
        return [str(each["Subject"]) for each in self.emails]


@contextmanager
def receivers() -> Iterator[Received]:
    """Both servers on free ports."""
    received = Received()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _http_handler(received))
    smtp = _SmtpServer(("127.0.0.1", 0), _smtp_handler(received))
    received.http_port, received.smtp_port = http.server_address[1], smtp.server_address[1]
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in (http, smtp)]
    for thread in threads:
        thread.start()
    try:
        yield received
    finally:
        for server in (http, smtp):
            server.shutdown()
            server.server_close()


class _SmtpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _http_handler(received: Received) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            at = time.time()
            if self.path == "/deadman":
                received.pulses.append(at)
            else:
                received.notices += [
                    Notice(each["status"], each["labels"], each["annotations"], at) for each in message["alerts"]
                ]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Not on stderr."""

    return Handler


def _smtp_handler(received: Received) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            """As much of RFC 5321 as a sender needs who neither authenticates nor encrypts."""
            self._say(220, "receiver")
            while line := self.rfile.readline():
                match line.split()[0].upper() if line.split() else b"":
                    case b"DATA":
                        self._say(354, "go on")
                        received.emails.append(message_from_bytes(self._body(), policy=policy.default))
                        self._say(250, "ok")
                    case b"QUIT":
                        self._say(221, "bye")
                        return
                    case _:
                        self._say(250, "ok")

        def _body(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                lines.append(line.removeprefix(b"."))
            return b"".join(lines)

        def _say(self, code: int, text: str) -> None:
            self.wfile.write(f"{code} {text}\r\n".encode())

    return Handler
