"""Parses servers' URLs, for both packages. Without dependencies, so that crawlers need not import the settings.

A URL may list the hosts of a cluster, as libpq's do: `amqp://user:password@one:5672,two:5672/`.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

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


def each_host(url: str) -> tuple[str, ...]:
    """The same URL for each of its hosts."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return (url,)
    return tuple(urlunsplit(parts._replace(netloc=f"{user}{at}{host}")) for host in hosts.split(","))


def hosts_at_random(url: str) -> list[str]:
    """The same in random order: clients that go to the first one that answers share the hosts."""
    hosts = each_host(url)
    return random.sample(hosts, len(hosts))


def parse(url: str, name: str, schemes: Collection[str]) -> ServerUrl:
    """Parse a URL, of several hosts the first one's. `name` is the variable that holds it, `schemes` are those allowed.

    Raises BadUrl, whichever host is wrong.
    """
    try:
        hosts = each_host(url)
    except ValueError:
        raise _bad(name, schemes) from None
    first, *_ = [_parsed(host, name, schemes) for host in hosts]  # all of them: each may be wrong
    return first


def _parsed(url: str, name: str, schemes: Collection[str]) -> ServerUrl:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.hostname is None:
        raise _bad(name, schemes)
    return ServerUrl(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or _DEFAULT_PORTS[parts.scheme],
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password or ""),
        path=unquote(parts.path.removeprefix("/")),
        query=dict(parse_qsl(parts.query)),
    )


def _bad(name: str, schemes: Collection[str]) -> BadUrl:
    return BadUrl(f"{name} is not a URL of the form {next(iter(schemes))}://user:password@host:port")


def redacted(url: str) -> str:
    """The URL for logs and errors: scheme, user, hosts and ports, without password, path and query."""
    hosts = [urlsplit(each) for each in each_host(url)]
    user = f"{hosts[0].username}@" if hosts[0].username else ""
    return f"{hosts[0].scheme}://{user}{','.join(map(_host_and_port, hosts))}"


def _host_and_port(parts: SplitResult) -> str:
    return _bracketed(parts.hostname or "") + (f":{parts.port}" if parts.port else "")


def _bracketed(host: str) -> str:
    """A host as URLs write it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host
