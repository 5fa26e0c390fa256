"""Parses servers' URLs, for both packages. Without dependencies, so that crawlers need not import the settings."""

from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ingest_service.errors import UserError

AMQP = ("amqp", "amqps")
CLICKHOUSE = ("http", "https")
HTTP = ("http", "https")
POSTGRES = ("postgresql", "postgres")

_DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671, "http": 8123, "https": 8443, "postgresql": 5432, "postgres": 5432}


class MissingUrl(UserError):
    """A server's URL is needed, and its variable is not set."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is not set. Set it to your server's URL, or start a local one: gcc-platform stack start"
        )


class BadUrl(UserError):
    """A server's URL cannot be parsed. The message names the variable and the form, not the value with its password."""


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A server's URL in parts, decoded."""

    scheme: str
    host: str
    port: int
    """The scheme's default where the URL names none."""
    user: str | None
    password: str = field(repr=False)
    path: str
    """Without its leading slash."""
    query: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """`scheme://host:port`."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def virtual_host(self) -> str:
        """RabbitMQ's virtual host, if this is a broker's URL: the default one where the URL names none."""
        return self.path or "/"

    @property
    def is_tls(self) -> bool:
        """Whether the scheme asks for TLS."""
        return self.scheme in {"https", "amqps"}


def parse(url: str, name: str, schemes: Collection[str]) -> ServerUrl:
    """Parse a URL. `name` is the variable that holds it, `schemes` are those allowed. Raises BadUrl."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.hostname is None:
        raise BadUrl(f"{name} is not a URL of the form {next(iter(schemes))}://user:password@host:port")
    return ServerUrl(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or _DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password or ""),
        path=unquote(parts.path.removeprefix("/")),
        query=dict(parse_qsl(parts.query)),
    )


def redacted(url: str) -> str:
    """The URL for logs and errors: scheme, user, host and port, without password, path and query."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{_host_and_port(parts)}"


def _host_and_port(parts: SplitResult) -> str:
    return _bracketed(parts.hostname or "") + (f":{parts.port}" if parts.port else "")


def _bracketed(host: str) -> str:
    """A host as URLs write it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host
