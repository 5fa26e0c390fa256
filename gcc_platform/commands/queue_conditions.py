"""Checks of RabbitMQ's queues: what they are declared with, how often they deliver a message and for how long."""

import asyncio
from collections.abc import Iterable, Iterator

from gcc_platform.commands import broker_management, queue_differences, server_versions
from gcc_platform.commands.broker_management import BrokerFacts, QueueFacts
from gcc_platform.commands.finding import Finding, some
from gcc_platform.watch.http_client import NoAnswer
from gcc_platform.watch.settings import WatchSettings
from ingest_service import urls
from ingest_service.broker import topology
from ingest_service.events.contract import EXCHANGE
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.pipeline.retries import longest_hold
from ingest_service.settings import Settings as IngestSettings

_SUBJECT = "RabbitMQ, management"
_QUEUES = topology.queues(EVENT_TYPES.values())
_SERVED = {each.queue for each in EVENT_TYPES.values()}
"""The ingest service reads these."""

_DEFAULT_TIMEOUT_MS = 1_800_000
_DEFAULT_DELIVERY_LIMIT = 20
"""Of quorum queues since RabbitMQ 4; earlier ones have no limit by default."""

_DELIVERY_ADVICE = "rabbitmqctl set_policy --apply-to queues beat-deliveries '_events_q$' '{\"delivery-limit\": -1}'"


def examine(settings: WatchSettings, ingest: IngestSettings) -> Iterator[Finding]:
    """Check the queues by the management API. Raises MissingUrl and BadUrl."""
    if settings.management_url is None:
        message = "not asked, because RABBITMQ_MANAGEMENT_URL is not set: arguments and policies of the queues"
        yield Finding(_SUBJECT, True, message)
        return
    url = settings.management_url.get_secret_value()
    urls.parse(url, "RABBITMQ_MANAGEMENT_URL", urls.HTTP)
    virtual_host = urls.parse(ingest.amqp(), "AMQP_URL", urls.AMQP).virtual_host
    try:
        facts = asyncio.run(broker_management.ask(url, virtual_host))
    except NoAnswer as error:
        advice = "correct RABBITMQ_MANAGEMENT_URL; its user needs the tag management: rabbitmqctl set_user_tags"
        yield Finding(_SUBJECT, False, str(error), advice)
        return
    yield from judge(facts, ingest)


def judge(facts: BrokerFacts, ingest: IngestSettings) -> Iterator[Finding]:
    """The findings of what the API answered. A missing queue is reported elsewhere."""
    yield _alternate_exchange(facts.alternate_exchange)
    ours = [facts.queues[name] for name in _QUEUES if name in facts.queues]
    yield from queue_differences.examine(_SUBJECT, ours)
    read = [queue for queue in ours if queue.name != topology.UNROUTABLE_QUEUE]
    yield from _delivery_limits(read, server_versions.numbers(facts.version))
    yield from _consumer_timeouts([queue for queue in read if queue.name in _SERVED], ingest)


def _alternate_exchange(found: str) -> Finding:
    message = f"{EXCHANGE} sends messages without a queue to {found}"
    if found:
        return Finding(_SUBJECT, True, message)
    advice = (
        "rabbitmqctl set_policy --apply-to exchanges beat-unroutable '^beat\\.dx$'"
        f' \'{{"alternate-exchange": "{topology.UNROUTABLE_EXCHANGE}"}}\''
    )
    message = f"{EXCHANGE} has no alternate-exchange: messages without a queue are dropped silently"
    return Finding(_SUBJECT, False, message, advice)


def _delivery_limits(queues: Iterable[QueueFacts], version: tuple[int, ...]) -> Iterator[Finding]:
    """A message that was delivered more often than the limit is dropped, or dead-lettered by the broker."""
    default = _DEFAULT_DELIVERY_LIMIT if version >= (4,) else -1
    limited: dict[tuple[int, str], list[str]] = {}
    count = 0
    for queue in queues:
        if queue.properties["x-queue-type"] == "quorum":
            count += 1
            limit, source = _smallest(queue, "delivery-limit", default)
            if limit >= 0:
                limited.setdefault((limit, source), []).append(queue.name)
    for (limit, source), names in limited.items():
        message = f"delivery-limit = {limit} ({source}) on {some(names)}, -1 is needed: a message is dropped after "
        yield Finding(_SUBJECT, False, f"{message}{limit} deliveries, which a crash loop can reach", _DELIVERY_ADVICE)
    if not limited:
        yield Finding(_SUBJECT, True, f"no delivery-limit on {count} quorum queues")


def _consumer_timeouts(queues: Iterable[QueueFacts], ingest: IngestSettings) -> Iterator[Finding]:
    """The broker takes a message back that is held for longer. The API shows it of a queue, and not of the node."""
    longest = longest_hold(ingest.hold_seconds, ingest.insert_timeout_seconds, ingest.retry_most_seconds)
    found: dict[tuple[int, str], list[str]] = {}
    for queue in queues:
        found.setdefault(_smallest(queue, "consumer-timeout", _DEFAULT_TIMEOUT_MS), []).append(queue.name)
    for (milliseconds, source), names in found.items():
        yield Finding(
            _SUBJECT,
            milliseconds > longest * 1_000,
            f"consumer_timeout = {milliseconds} ms ({source}) on {some(names)},"
            f" the service holds a message for up to {longest * 1_000:.0f} ms",
            f"raise it, or lower GCC_HOLD_SECONDS (now {ingest.hold_seconds:.0f}) by more than the difference",
        )


def _smallest(queue: QueueFacts, name: str, default: int) -> tuple[int, str]:
    """A limit and where it is set. Of an argument and a policy the smaller one is in force; -1 means unlimited."""
    candidates = []
    if (argument := queue.properties.get(f"x-{name}")) is not None:
        candidates.append((int(argument), "argument"))
    if (policy := queue.policy.get(name)) is not None:
        candidates.append((int(policy), f"policy {queue.policy_name}"))
    limits = [each for each in candidates if each[0] >= 0]
    if limits:
        return min(limits)
    source = "RabbitMQ's default, unless its configuration has another one"
    return candidates[0] if candidates else (default, source)
