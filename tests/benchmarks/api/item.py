"""The API's queries without and with the marts' indexes, by one client, and by many while marts are refreshed."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import psycopg

from gcc_platform.resources.dbt_project import manifest
from gcc_platform.sync.mode import Mode
from tests.benchmarks.api import data
from tests.benchmarks.api.load import Asked, Clients, Times, ask, quantile
from tests.benchmarks.api.queries import Query, queries_of
from tests.benchmarks.api.refreshing import Refreshes, refreshing, synced
from tests.benchmarks.bench import Bench
from tests.benchmarks.results import Figure, Table

TITLE = "The API"
_NOT_ASKED_BY_MANY = {"freshness", "post_sentiment", "profile_sentiment"}
"""The other views' queries are the thirteen of the API's pages."""


class NoIndex(Exception):
    """A query reads a whole mart: its indexes do not serve it."""


def answered(bench: Bench, scale: data.Scale, times: Times, rounds: int, say: Callable[[str], None]) -> Sequence[Table]:
    """Measure, and describe it as tables."""
    queries, marts = queries_of(manifest("serving")), data.load(bench, scale)
    list(synced(bench, [replace(mart, indexes=()) for mart in marts]))
    _build_views(bench)
    before = _by_one(bench, queries, scale, times.one, say)
    list(synced(bench, marts))
    check_plans(bench, queries, scale)
    one = _by_one(bench, queries, scale, times.one, say)
    pages = [query for query in queries if query.view not in _NOT_ASKED_BY_MANY]
    loads = [os.getloadavg()[0]]
    quiet, busy, refreshes = [], [], []
    for number in range(rounds):
        quiet.append(ask(bench, pages, scale, times.many))
        with refreshing(bench, scale, marts) as done:
            busy.append(ask(bench, pages, scale, times.many))
        refreshes.append(done)
        loads.append(os.getloadavg()[0])
        p99 = [quantile(asked[-1].all(), 0.99) for asked in (quiet, busy)]
        say(f"  round {number + 1}: p99 {p99[0]:.1f} ms quiet, {p99[1]:.1f} ms beside {done.begun} refreshes")
    rows = [_row(query.name, before, one, quiet, busy) for query in queries]
    rows.append(("all", "", "", *_of_all(quiet), *_of_all(busy)))
    said = _said(scale, times, quiet, busy, refreshes, loads)
    head = ("", "one client, no index", "one client", "quiet p50", "p99", "refreshes p50", "p99")
    return [Table(TITLE, said, head, tuple(rows))]


def check_plans(bench: Bench, queries: Sequence[Query], scale: data.Scale) -> None:
    """Raise NoIndex if a query can only be answered from all rows of a mart."""
    with psycopg.connect(bench.environment["GCC_READER_POSTGRES_URL"], autocommit=True) as reader:
        reader.execute("SET enable_seqscan = off")
        for query in queries:
            statement = re.sub(r"(?<!:):[nabc]\b", "7", query.script(scale).partition("select")[2])
            plan = reader.execute(f"EXPLAIN select {statement}".encode()).fetchall()
            if read := [line for (line,) in plan if re.search(r"Seq Scan on mart_", line)]:
                raise NoIndex(f"{query.name}: {read[0].strip()}")


def _build_views(bench: Bench) -> None:
    """As dbt builds them in a refresh."""
    done = subprocess.run(
        [Path(sys.executable).with_name("gcc-platform"), "dbt", "serving", "run"],
        env={**os.environ, **bench.environment, "DAGSTER_HOME": str(bench.folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"dbt failed: {done.stdout}{done.stderr}")


def _by_one(
    bench: Bench, queries: Sequence[Query], scale: data.Scale, client: Clients, say: Callable[[str], None]
) -> Mapping[str, float]:
    """The median milliseconds of each query."""
    found = {query.name: quantile(ask(bench, [query], scale, client).all(), 0.5) for query in queries}
    say("  one client: " + ", ".join(f"{name} {value:.2f} ms" for name, value in found.items()))
    return found


def _row(
    name: str, before: Mapping[str, float], one: Mapping[str, float], quiet: Sequence[Asked], busy: Sequence[Asked]
) -> tuple[str, ...]:
    figures = [
        Figure([quantile(each.milliseconds[name], share) for each in asked]).shown(1) if name in asked[0].milliseconds
        else "-"
        for asked in (quiet, busy)
        for share in (0.5, 0.99)
    ]  # fmt: skip
    return (name, f"{before[name]:,.2f}", f"{one[name]:,.2f}", *figures)


def _of_all(asked: Sequence[Asked]) -> tuple[str, str]:
    p50, p99 = (Figure([quantile(each.all(), share) for each in asked]).shown(1) for share in (0.5, 0.99))
    return p50, p99


def _said(
    scale: data.Scale,
    times: Times,
    quiet: Sequence[Asked],
    busy: Sequence[Asked],
    refreshes: Sequence[Refreshes],
    loads: Sequence[float],
) -> str:
    clients = times.many
    worst = [max(each.all()[-1] for each in asked) for asked in (quiet, busy)]
    cores = Figure([each.cores_of_clients for each in quiet]).shown(2)
    server = [Figure([each.cores_of_server for each in asked]).shown(2) for asked in (quiet, busy)]
    return (
        f"Milliseconds of the views' example queries (docs/api.md), as role api, on {scale.profiles:,} profiles, of "
        f"which {scale.with_history:,} have {scale.days} days and {scale.posts} posts. One client: the median of what "
        f"it asks in {times.one.seconds} s, without the indexes that the marts declare, and with them. Then "
        f"{clients.number} clients with {clients.rate} queries/s together, each page's query equally often, "
        f"{clients.seconds} s a round, alone and beside refreshes: {_refreshed(refreshes)}. A latency counts from when "
        f"the query was due. The longest were {worst[0]:,.0f} and {worst[1]:,.0f} ms. pgbench took {cores} cores, "
        f"PostgreSQL {server[0]} alone and {server[1]} beside refreshes. The load average of the machine was "
        f"{min(loads):.0f} to {max(loads):.0f}, other work included."
    )


def _refreshed(refreshes: Sequence[Refreshes]) -> str:
    results = [result for each in refreshes for result in each.synced]
    listed = []
    for mode in Mode:
        found = [result for result in results if result.mode is mode]
        written = sum(result.inserted + result.updated + result.deleted for result in found)
        listed += [f"{len(found)} {mode.value} ({written:,} rows)"] if found else []
    return f"{sum(each.begun for each in refreshes)} begun, with the syncs {', '.join(listed)}"
