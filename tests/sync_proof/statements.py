"""What a client sends to PostgreSQL and to ClickHouse, statement by statement: counted, and stopped at the n-th.

Proxies in threads read the protocols of both servers. So a sync is killed at each statement without a change of it.
"""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit, urlunsplit

CLICKHOUSE = "ClickHouse: "
"""How the label of a query to ClickHouse begins."""
_UNTYPED = {80877103, 80877104}
"""Requests for TLS and GSSAPI, which are followed by another message without a type."""
_ENDS = b"QSdcfX"
"""The messages of PostgreSQL's protocol that end a statement, a block of COPY, or the session."""
_SHOWN = 90


class When(Enum):
    """On which side of the statement something happens."""

    BEFORE = "before"
    AFTER = "after"


@dataclass
class Statements:
    """What both servers were sent, in order, and what happens at one of them."""

    aim: int = 0
    """The number of the statement at which `act` is called; 0 for none."""
    when: When = When.BEFORE
    act: Callable[[str], None] = lambda _: None
    prefix: str = ""
    """Only statements that begin so are counted."""
    sent: list[str] = field(default_factory=list)
    is_hit: bool = False
    queries_killed: int = 0
    flowing: threading.Event = field(default_factory=threading.Event)
    """While it is not set no answer is passed on: a query whose answer is long cannot end then."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.flowing.set()

    def pass_on(self, label: str, forward: Callable[[], None]) -> None:
        """Count a statement and send it, in turn."""
        with self._lock:
            if not label.startswith(self.prefix):
                forward()
                return
            self.sent.append(label)
            is_aim = len(self.sent) == self.aim
            self.is_hit |= is_aim
            if is_aim and self.when is When.BEFORE:
                self.act(label)
            if is_aim and self.when is When.AFTER:
                self.flowing.clear()
            with suppress(OSError):
                forward()
            if is_aim and self.when is When.AFTER:
                self.act(label)
                self.flowing.set()


class StatementProxy:
    """Leads one client to a server, statement by statement."""

    def __init__(
        self, url: str, statements: Statements, split: Callable[[Callable[[], bytes]], Iterator[tuple[str, bytes]]]
    ) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 0)
        self._statements = statements
        self._split = split
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # a long answer waits in the server
                self._sockets += [client, server]
                threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answers, args=(server, client), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        def receive() -> bytes:
            data = client.recv(1 << 16)
            if not data:
                raise OSError("the client has closed the connection")
            return data

        with suppress(OSError):
            for label, data in self._split(receive):
                if label:
                    self._statements.pass_on(label, lambda data=data: server.sendall(data))  # type: ignore[misc]
                else:
                    server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                self._statements.flowing.wait()
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


class _Buffer:
    """Bytes that are received as they are needed."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._data = b""

    def take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._data += self._receive()
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def until(self, end: bytes) -> bytes:
        while end not in self._data:
            self._data += self._receive()
        return self.take(self._data.index(end) + len(end))


def of_postgres(receive: Callable[[], bytes]) -> Iterator[tuple[str, bytes]]:
    """The client's messages, a statement's together. A label is empty for what is not a statement."""
    buffer = _Buffer(receive)
    is_greeted = False
    while not is_greeted:
        length = buffer.take(4)
        body = buffer.take(int.from_bytes(length) - 4)
        is_greeted = int.from_bytes(body[:4]) not in _UNTYPED
        yield "", length + body
    group, label = b"", ""
    while True:
        kind = buffer.take(1)
        length = buffer.take(4)
        body = buffer.take(int.from_bytes(length) - 4)
        group += kind + length + body
        label = label or _label(kind, body)
        if kind in _ENDS or kind == b"p":
            yield label, group
            group, label = b"", ""


def _label(kind: bytes, body: bytes) -> str:
    if kind == b"Q":
        return _shown(body)
    if kind == b"P":
        return _shown(body.partition(b"\0")[2])
    return {b"B": "a prepared statement", b"d": "a block of COPY", b"c": "the end of COPY", b"f": "a failed COPY"}.get(
        kind, ""
    )


def of_clickhouse(receive: Callable[[], bytes]) -> Iterator[tuple[str, bytes]]:
    """The client's HTTP requests, each as a whole."""
    buffer = _Buffer(receive)
    while True:
        head = buffer.until(b"\r\n\r\n")
        if found := re.search(rb"content-length: *(\d+)", head, re.IGNORECASE):
            body = buffer.take(int(found[1]))
        elif re.search(rb"transfer-encoding: *chunked", head, re.IGNORECASE):
            body = buffer.until(b"0\r\n\r\n")
        else:
            body = b""
        yield f"{CLICKHOUSE}{_shown(body) or _shown(head)}", head + body


def _shown(text: bytes) -> str:
    return " ".join(text.split(b"\0")[0].decode(errors="replace").split())[:_SHOWN]
