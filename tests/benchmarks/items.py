"""The measurements by name, each as the tables that the report shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmarks import before, drain, inserts, latency, publishers, queries, storage
from tests.benchmarks.api import data as api_data
from tests.benchmarks.api import item as api
from tests.benchmarks.api import load as api_load
from tests.benchmarks.bench import DEFAULT_TIMERS, Bench
from tests.benchmarks.drain import Drained
from tests.benchmarks.events import mean_bytes, mixed, posts
from tests.benchmarks.results import Figure, Table

_PROCESSES = ("consumer", "RabbitMQ", "ClickHouse")
_LOW_LATENCY = {**DEFAULT_TIMERS, "GCC_FLUSH_SECONDS": "1"}


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int = 3
    drained: int = 500_000
    slowly_drained: int = 60_000
    one_by_one_seconds: float = 10
    rates: tuple[tuple[int, int], ...] = ((1_000, 30), (10_000, 60), (25_000, 30))
    """Events a second, and for how many seconds."""
    default_rates: tuple[tuple[int, int], ...] = ((1_000, 30),)
    """The same, with the default timers."""
    published: int = 200_000
    replayed: int = 60_000
    stored: int = 500_000
    backlogs: tuple[int, ...] = (100_000, 1_000_000, 5_000_000)
    trickle: tuple[int, int] = (1_000, 30)
    asked: int = 5_000_000
    served: api_data.Scale = field(default_factory=api_data.Scale)
    api_times: api_load.Times = field(default_factory=api_load.Times)


QUICK = Sizes(
    rounds=1,
    drained=15_000,
    slowly_drained=14_000,
    one_by_one_seconds=0.5,
    rates=((500, 2),),
    default_rates=((500, 2),),
    published=2_000,
    replayed=1_000,
    stored=5_000,
    backlogs=(5_000,),
    trickle=(500, 2),
    asked=200_000,
    served=api_data.SMALL,
    api_times=api_load.QUICK,
)


def drained(bench: Bench, sizes: Sizes, say: Callable[[str], None]) -> Sequence[Table]:
    """Full queues until durable, against the limits and against what one writes first; and PostgreSQL before."""
    kinds: Mapping[str, Callable[[], Drained]] = {
        "consumer that discards (the broker's limit)": lambda: drain.by_discarding(bench, sizes.drained),
        "this service": lambda: drain.by_service(bench, sizes.drained),
        "ClickHouse alone (its limit)": lambda: drain.by_clickhouse_alone(bench, sizes.drained),
        "this service, GCC_DELIVERY=aio-pika": lambda: drain.by_service(
            bench, sizes.slowly_drained, GCC_DELIVERY="aio-pika"
        ),
        "naive consumer": lambda: drain.by_naive(bench, sizes.slowly_drained),
        **{
            f"PostgreSQL, one by one, {connections} connections": lambda connections=connections: before.one_by_one(
                bench, connections, sizes.one_by_one_seconds
            )
            for connections in (50, 10, 1)
        },
    }
    found: dict[str, list[Drained]] = {name: [] for name in kinds}
    for number in range(sizes.rounds):
        for name, measure in kinds.items():
            found[name].append(measure())
            say(f"  round {number + 1}: {name}: {found[name][-1].rate:,.0f} events/s")
    for _ in range(sizes.rounds - 1):
        for name in list(kinds)[:2]:  # the two that matter most, and swing the most
            found[name].append(kinds[name]())
            say(f"  again: {name}: {found[name][-1].rate:,.0f} events/s")
    limit = Figure([each.rate for each in next(iter(found.values()))]).median
    rows = [_drain_row(name, runs, limit) for name, runs in found.items()]
    inserts = Figure([(each.inserts or 0) / each.events * 1e6 for each in found["this service"]])
    said = (
        f"Events of all twelve types ({mean_bytes(mixed(sizes.drained)):.0f} bytes on average) wait in twelve quorum "
        "queues; the clock runs from when the consumer is connected (service) or has its first message (the others) "
        "until the last row is durable. A tail of fewer than 1,000 rows of a type waits GCC_FLUSH_SECONDS, here 0.5 s. "
        "CPU in seconds per million events, without the start of the process; `consumer` is the process in question. "
        f"The naive consumer decodes with json and inserts 1,000 Python rows at a time. Inserts of the service per "
        f"million events: {inserts.shown()}."
    )
    head = (
        "",
        "events",
        "events/s",
        "of the broker's limit",
        "CPU consumer",
        "CPU RabbitMQ",
        "CPU ClickHouse",
        "peak MB",
    )
    bars = tuple((name, Figure([each.rate for each in runs]).median) for name, runs in found.items())
    return [Table("Drain until durable", said, head, tuple(rows), bars)]


def _drain_row(name: str, runs: Sequence[Drained], limit: float) -> tuple[str, ...]:
    rate = Figure([each.rate for each in runs])
    cpu = [
        Figure([each.cpu_per_million()[process] for each in runs]).shown(1) if process in runs[0].cpu else "-"
        for process in _PROCESSES
    ]
    if "PostgreSQL" in name:
        cpu = [
            Figure([each.cpu_per_million()["client"] for each in runs]).shown(1),
            "-",
            "PostgreSQL: " + Figure([each.cpu_per_million()["PostgreSQL"] for each in runs]).shown(1),
        ]
    memory = Figure([each.megabytes for each in runs if each.megabytes]) if runs[0].megabytes else None
    counts = (f"{runs[0].events:,}", rate.shown(), f"{rate.median / limit:.2f}")
    return (name, *counts, *cpu, memory.shown() if memory else "-")


def latencies(bench: Bench, sizes: Sizes, say: Callable[[str], None]) -> Sequence[Table]:
    """From confirmed to visible at steady rates, with quick and with the default timers."""
    rows, processes = [], (*_PROCESSES, "publisher")
    alone = Figure([latency.publishing_alone(bench, sizes.published) for _ in range(sizes.rounds)])
    say(f"  publishing alone: {alone.shown()}/s")
    for settings, name, rates in (
        (_LOW_LATENCY, "1", sizes.rates),
        (DEFAULT_TIMERS, "5 (default)", sizes.default_rates),
    ):
        for rate, seconds in rates:
            runs = [latency.measure(bench, rate, seconds, **settings) for _ in range(sizes.rounds)]
            figures = [Figure([getattr(each, part) for each in runs]).shown(2) for part in ("p50", "p99", "most")]
            held = Figure([each.held for each in runs]).shown()
            cpu = [Figure([each.cpu[process] for each in runs]).shown(1) for process in processes]
            rows.append((f"{rate:,}", name, f"{seconds} s", held, *figures, *cpu))
            say(f"  {rate:,}/s, GCC_FLUSH_SECONDS={name}: p50 {figures[0]} s, p99 {figures[1]} s, held {held}/s")
    said = (
        "Seconds from the broker's confirm until the row is counted by ClickHouse, looked at every 100 ms: a table's "
        "n-th confirmed event is visible when it has n rows. A run ends when all are visible, so nothing is left "
        "in a queue. `held` is the rate at which publishes were confirmed, from first to last. With no consumer at all "
        f"the broker here confirms {alone.shown()} events/s: a rate above that cannot be held, whatever consumes. "
        "CPU in seconds per million events."
    )
    head = ("events/s", "GCC_FLUSH_SECONDS", "for", "held", "p50", "p99", "longest", *(f"CPU {p}" for p in processes))
    return [Table("Latency", said, head, tuple(rows))]


def published(bench: Bench, sizes: Sizes, say: Callable[[str], None]) -> Sequence[Table]:
    """Publishers on one connection, side by side."""
    publishing = {
        "gcc-ingest publish": ("command", sizes.published),
        "SDK, background sender": ("sender", sizes.published),
        "SDK, emit until confirmed": ("emit", sizes.published),
        "gcc-ingest dead-letters replay": ("replay", sizes.replayed),
        "plain aio-pika": ("aio-pika", sizes.published // 5),
    }
    if publishers.can_compile():
        publishing = {"C, librabbitmq (the limit)": ("C", sizes.published), **publishing}
    else:
        say("  NOT MEASURED: the C publisher takes a compiler and librabbitmq's headers (librabbitmq-dev)")
    found: dict[str, list[Drained]] = {name: [] for name in publishing}
    for number in range(sizes.rounds):
        for name, (kind, count) in publishing.items():
            found[name].append(publishers.measured(bench, kind, count))
            say(f"  round {number + 1}: {name}: {found[name][-1].rate:,.0f} events/s")
    limit = Figure([run.rate for run in next(iter(found.values()))]).median
    rows = [_published_row(name, runs, limit) for name, runs in found.items()]
    said = (
        f"Persistent, mandatory, confirmed post_log events ({mean_bytes([('', body) for body in posts(1_000)]):.0f} "
        "bytes on average) to one quorum queue over one connection, nobody consuming; the clock runs from the first "
        "publish to the last confirm. CPU in seconds per million events, without the start of the process. Replay "
        "reads its letters from ClickHouse and records each chunk there."
    )
    head = ("", "events", "events/s", f"of {rows[0][0]}", "CPU publisher", "CPU RabbitMQ")
    return [Table("Publishing", said, head, tuple(rows))]


def _published_row(name: str, runs: Sequence[Drained], limit: float) -> tuple[str, ...]:
    rate = Figure([run.rate for run in runs])
    cpu = [Figure([run.cpu_per_million()[each] for run in runs]).shown(1) for each in ("publisher", "RabbitMQ")]
    return (name, f"{runs[0].events:,}", rate.shown(), f"{rate.median / limit:.2f}", *cpu)


def stored(bench: Bench, sizes: Sizes, say: Callable[[str], None]) -> Sequence[Table]:
    """Bytes per event."""
    found = storage.measure(bench, sizes.stored)
    say(f"  PostgreSQL {found.postgres:.0f}, ClickHouse {found.clickhouse_merged:.0f} bytes per event")
    rows = (
        ("PostgreSQL, jsonb, with its index", f"{found.postgres:.0f}", "1.0"),
        ("ClickHouse, as inserted", f"{found.clickhouse:.0f}", f"{found.postgres / found.clickhouse:.1f}"),
        ("ClickHouse, merged", f"{found.clickhouse_merged:.0f}", f"{found.postgres / found.clickhouse_merged:.1f}"),
    )
    said = (
        f"The same {found.events:,} events of all types in both servers: one log table there, twelve raw tables here."
    )
    return [Table("Storage", said, ("", "bytes per event", "times smaller"), rows)]


def grown(bench: Bench, sizes: Sizes, say: Callable[[str], None]) -> Sequence[Table]:
    """The same drain at backlogs of different sizes."""
    rows = []
    for backlog in sizes.backlogs:
        run = drain.by_service(bench, backlog)
        cpu = [f"{run.cpu_per_million()[process]:.1f}" for process in _PROCESSES]
        rows.append((f"{backlog:,}", f"{run.rate:,.0f}", *cpu, f"{run.megabytes:.0f}"))
        say(f"  {backlog:,} queued: {run.rate:,.0f} events/s, {run.megabytes:.0f} MB")
    said = "One drain each, as above. The service's memory is bounded by its prefetch, whatever waits in the broker."
    head = ("events queued", "events/s", *(f"CPU {process}" for process in _PROCESSES), "peak MB of the service")
    return [Table("Cost against the size of the backlog", said, head, tuple(rows))]


def inserted(bench: Bench, sizes: Sizes, say: Callable[[str], None]) -> Sequence[Table]:
    """Inserts, parts and merges per million events."""
    rows = []
    rate, seconds = sizes.trickle
    for name, found in (
        ("full queues", inserts.while_draining(bench, sizes.drained)),
        (f"{rate:,} events/s, default timers", inserts.at_rate(bench, rate, seconds)),
    ):
        per_million = 1e6 / found.events
        counts = [f"{each * per_million:,.0f}" for each in (found.inserts, found.parts, found.merges)]
        cpu = [f"{each * per_million:.1f}" for each in (found.insert_cpu, found.merge_cpu)]
        rows.append((name, f"{found.events:,}", *counts, *cpu))
        say(f"  {name}: {counts[0]} inserts, {counts[1]} parts, {counts[2]} merges per million events")
    said = (
        "Per million events, from system.query_log and system.part_log, until nothing is left to merge. A part is made "
        "for each month of event time that a batch spans, and one in the ledger. CPU in seconds; an insert's includes "
        "what its materialized columns and its ledger row cost."
    )
    head = ("", "events", "inserts", "parts made", "merges", "CPU inserts", "CPU merges")
    return [Table("Inserts, parts and merges", said, head, tuple(rows))]


def answered(bench: Bench, sizes: Sizes, say: Callable[[str], None]) -> Sequence[Table]:
    """Questions to both servers."""
    queries.load(bench, sizes.asked)
    rows = []
    for question in queries.QUESTIONS:
        runs = [queries.ask(bench, question) for _ in range(sizes.rounds)]
        theirs = [Figure([each.postgres_cold for each in runs]), Figure([each.postgres_warm for each in runs])]
        ours = [Figure([each.clickhouse_cold for each in runs]), Figure([each.clickhouse_warm for each in runs])]
        faster = [f"{a.median / b.median:.1f}" for a, b in zip(theirs, ours, strict=True)]
        rows.append((question.name, *(each.shown(3) for each in (*theirs, *ours)), *faster))
        say(f"  {question.name}: {faster[0]} times as fast cold, {faster[1]} warm")
    queries.forget(bench)
    said = (
        f"The same {sizes.asked:,} events (profile_log and post_log in turns, 50,000 profiles over 90 days) in both "
        "servers, which must answer alike. Seconds; cold is the first answer after a restart with none of the server's "
        "files in the page cache, warm the median of the next three. PostgreSQL has its default configuration with "
        "work_mem = 256 MB; ClickHouse reads the raw tables. Below 1, PostgreSQL is faster."
    )
    head = ("", "PostgreSQL cold", "warm", "ClickHouse cold", "warm", "times faster cold", "warm")
    return [Table("Questions", said, head, tuple(rows))]


def api_answered(bench: Bench, sizes: Sizes, say: Callable[[str], None]) -> Sequence[Table]:
    """The API's queries, by one client and by many."""
    return api.answered(bench, sizes.served, sizes.api_times, sizes.rounds, say)


ITEMS: Mapping[str, Callable[[Bench, Sizes, Callable[[str], None]], Sequence[Table]]] = {
    "drain": drained,
    "publish": published,
    "latency": latencies,
    "inserts": inserted,
    "storage": stored,
    "queries": answered,
    "growth": grown,
    "api": api_answered,
}
