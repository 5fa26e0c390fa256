"""An HTTP front before ClickHouse that does not tell the truth about inserts; whatever else is asked, it passes on."""

import http.client
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

_PASSED_ON_SECONDS = 60


class HangUp(Exception):
    """The front closes the connection; `said` goes out before."""

    def __init__(self, said: bytes = b"") -> None:
        super().__init__()
        self.said = said


@dataclass(frozen=True)
class Answer:
    """What a client gets."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""

    def raw(self) -> bytes:
        """The bytes on the wire."""
        lines = [f"HTTP/1.1 {self.status} {http.client.responses[self.status]}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() not in _OF_THE_CONNECTION]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode() + self.body


_OF_THE_CONNECTION = ("content-length", "transfer-encoding", "connection", "keep-alive")

Ask = Callable[[], Answer]
"""Pass the insert on; ClickHouse's own answer."""

Lie = Callable[[bytes, Ask], Answer]
"""What becomes of an insert, given its rows. May raise HangUp."""


def maintenance_page(_rows: bytes, _ask: Ask) -> Answer:
    """200 and a page, as a load balancer has it while it is worked on."""
    return Answer(200, [("Content-Type", "text/html")], b"<html>We will be back soon.</html>")


def no_content(_rows: bytes, _ask: Ask) -> Answer:
    """204."""
    return Answer(204)


def login_page(_rows: bytes, _ask: Ask) -> Answer:
    """302 to a page, as a proxy that wants to know who asks."""
    return Answer(302, [("Location", "/login")])


def passes_on_up_to(most: int) -> Lie:
    """413 for more bytes than that, as nginx with its client_max_body_size."""

    def lie(rows: bytes, ask: Ask) -> Answer:
        return ask() if len(rows) <= most else Answer(413, [("Content-Type", "text/html")], b"<html>Too large</html>")

    return lie


def cuts_the_answer_after(bytes_: int) -> Lie:
    """The insert lands, and only the first bytes of the answer arrive."""

    def lie(_rows: bytes, ask: Ask) -> Answer:
        raise HangUp(ask().raw()[:bytes_])

    return lie


def hangs_up_after_it_landed(_rows: bytes, ask: Ask) -> Answer:
    """The insert lands, and no answer arrives."""
    ask()
    raise HangUp


def repeats(_rows: bytes, ask: Ask) -> Answer:
    """The insert is passed on twice, as by a proxy that tries again by itself; the second answer counts."""
    ask()
    return ask()


class AnswersFromItsCache:
    """Inserts are passed on until one has this status; its answer, ClickHouse's own, is that to every later one."""

    def __init__(self, status: int) -> None:
        self._status = status
        self._kept: Answer | None = None
        self._one_asks = threading.Lock()

    def __call__(self, _rows: bytes, ask: Ask) -> Answer:
        with self._one_asks:
            if self._kept is not None:
                return self._kept
            answer = ask()
            if answer.status == self._status:
                self._kept = answer
            return answer


class LyingFront:
    """Listens on a port of its own, and passes on to a server what it does not lie about."""

    def __init__(self, host: str, port: int, lie: Lie) -> None:
        self._target = (host, port)
        self._lie = lie
        self.lies = 0
        """How many inserts it was asked for."""
        front = self

        class Handler(_Handler):
            def do_POST(self) -> None:
                self.pass_on(front)

            do_GET = do_POST  # noqa: N815  as http.server calls it

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "LyingFront":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """What is answered. Raises HangUp, and OSError and HTTPException where the server cannot be asked."""
        if path.startswith("/login"):
            return Answer(200, [("Content-Type", "text/html")], b"<html>Who are you?</html>")
        query = "".join(parse_qs(urlsplit(path).query).get("query", []))
        if not query.lstrip().upper().startswith("INSERT"):
            return self._ask(method, path, headers, body)
        self.lies += 1
        return self._lie(body, lambda: self._ask(method, path, headers, body))

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        connection = http.client.HTTPConnection(*self._target, timeout=_PASSED_ON_SECONDS)
        try:
            own = {name: value for name, value in headers.items() if name.lower() not in _OF_THE_CONNECTION}
            connection.request(method, path, body, own)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self, front: LyingFront) -> None:
        """Answer one request, or hang up."""
        try:
            said = front.answer(self.command, self.path, dict(self.headers.items()), self._body()).raw()
        except HangUp as end:
            said, self.close_connection = end.said, True
        except (OSError, http.client.HTTPException):
            said, self.close_connection = b"", True
        with suppress(OSError):
            self.wfile.write(said)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  as http.server calls it
        """Nothing: what is said here would be in the middle of the test's own words."""
