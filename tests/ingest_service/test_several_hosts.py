"""A URL of several hosts: clients go to one that answers, and on to the next one when it fails."""

from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from urllib.parse import urlsplit, urlunsplit

import pytest

from gcc_platform.resources import clickhouse as platform_clickhouse
from gcc_platform.resources import postgres
from gcc_platform.resources.clickhouse import ClickHouseFailed
from gcc_platform.resources.postgres import PostgresUnavailable
from ingest_service import urls
from ingest_service.broker.connection import BrokerUnavailable
from ingest_service.broker.connection import connected as broker_connected
from ingest_service.clickhouse.client import ClickHouse, connected
from ingest_service.clickhouse.errors import InsertFailed
from ingest_service.clickhouse.unavailable import ClickHouseUnavailable
from tests.harness.proxy import Proxy
from tests.harness.running import query

TIMES = 8
"""The order of hosts is random: often enough that both orders come up."""


class Hosts:
    """Two addresses of one server, each of which can be taken away."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.proxies = [Proxy(str(parts.hostname), parts.port or 0) for _ in range(2)]
        user = parts.netloc.rpartition("@")[0]
        listed = ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies)
        self.url = urlunsplit(parts._replace(netloc=f"{user}@{listed}"))

    def close(self) -> None:
        for proxy in self.proxies:
            proxy.close()


@pytest.fixture
def broker(stack: Mapping[str, str]) -> Iterator[Hosts]:
    with closing(Hosts(stack["AMQP_URL"])) as hosts:
        yield hosts


@pytest.fixture
def clickhouse(initialised: Mapping[str, str]) -> Iterator[Hosts]:
    with closing(Hosts(initialised["CLICKHOUSE_URL"])) as hosts:
        yield hosts


@pytest.fixture
def table(initialised: Mapping[str, str]) -> Iterator[str]:
    """One that recognizes the token of an insert, as the raw tables do."""
    name, url = "_e.several_hosts", initialised["CLICKHOUSE_URL"]
    query(url, f"CREATE TABLE {name} (id String) ORDER BY id SETTINGS non_replicated_deduplication_window = 10")
    yield name
    query(url, f"DROP TABLE {name}")


def test_a_url_lists_hosts_as_libpq_s_do() -> None:
    url = "amqps://me:p,%40@one:1,two,[::1]:3/a%2Fb?heartbeat=5"
    assert urls.each_host(url) == (
        "amqps://me:p,%40@one:1/a%2Fb?heartbeat=5",
        "amqps://me:p,%40@two/a%2Fb?heartbeat=5",
        "amqps://me:p,%40@[::1]:3/a%2Fb?heartbeat=5",
    )
    parsed = [urls.parse(each, "AMQP_URL", urls.AMQP) for each in urls.each_host(url)]
    assert [(each.host, each.port) for each in parsed] == [("one", 1), ("two", 5671), ("::1", 3)]
    assert {(each.user, each.password, each.virtual_host) for each in parsed} == {("me", "p,@", "a/b")}
    assert urls.redacted(url) == "amqps://me@one:1,two,[::1]:3"


@pytest.mark.parametrize("hosts", ["one:1,", "one:1,two:x", ",", "one,two:0", "one,[::1"])
def test_each_host_must_be_one(hosts: str) -> None:
    with pytest.raises(urls.BadUrl, match="AMQP_URL is not a URL of the form"):
        urls.parse(f"amqp://me:secret@{hosts}/", "AMQP_URL", urls.AMQP)


async def test_a_broker_s_node_that_is_away_is_passed_over(broker: Hosts) -> None:
    for proxy in broker.proxies:
        proxy.open()
        for _ in range(TIMES):
            async with broker_connected(broker.url, "test") as connection:
                assert connection.connected.is_set()
        proxy.close()
    with pytest.raises(BrokerUnavailable) as raised:
        async with broker_connected(broker.url, "test"):
            pass
    assert all(f":{proxy.port} (" in str(raised.value) for proxy in broker.proxies)


async def test_a_query_goes_to_the_server_that_answers(clickhouse: Hosts) -> None:
    async with connected(clickhouse.url, 10) as client:
        for _ in range(TIMES):
            for proxy in clickhouse.proxies:
                proxy.open()
                try:
                    assert await client.column("SELECT 1") == ["1"]
                except ClickHouseUnavailable:  # it was sent over a connection that was cut: it may have been run
                    assert await client.column("SELECT 1") == ["1"]
                proxy.close()
        with pytest.raises(ClickHouseUnavailable, match="no ClickHouse answers"):
            await client.ping()


async def test_an_insert_that_failed_is_repeated_at_the_next_server_with_its_token(
    table: str, stack: Mapping[str, str], clickhouse: Hosts
) -> None:
    async with connected(clickhouse.url, 10) as client:
        for proxy in clickhouse.proxies:
            proxy.open()
            await _inserted(client, table)
            proxy.close()
    assert query(stack["CLICKHOUSE_URL"], f"SELECT count() FROM {table}").strip() == "1"


async def _inserted(client: ClickHouse, table: str) -> None:
    """As the pipeline does it: the same bytes and the same token until the server confirms them."""
    for _ in range(3):
        with suppress(InsertFailed):
            await client.insert(table, [b'{"id": "x"}'], "a token", {})
            return
    raise AssertionError("no server took it")


def test_the_platform_connects_to_the_server_that_answers(stack: Mapping[str, str]) -> None:
    with closing(Hosts(stack["GCC_SYNC_CLICKHOUSE_URL"])) as source, closing(Hosts(stack["POSTGRES_URL"])) as target:
        for number in range(2):
            source.proxies[number].open()
            target.proxies[number].open()
            for _ in range(TIMES):
                with platform_clickhouse.connect(source.url, {}) as client:
                    assert client.rows("SELECT 1") == [(1,)]
                with postgres.connect(target.url, "test") as connection:
                    assert connection.execute("SELECT 1").fetchall() == [(1,)]
            source.proxies[number].close()
            target.proxies[number].close()
        with pytest.raises(ClickHouseFailed, match="cannot connect"), platform_clickhouse.connect(source.url, {}):
            pass
        with pytest.raises(PostgresUnavailable, match="cannot connect"), postgres.connect(target.url, "test"):
            pass
