"""The doctor names queues that are not as declared, and limits of the broker that are too low for the service."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from gcc_platform.commands import queue_conditions
from gcc_platform.commands.broker_management import BrokerFacts, QueueFacts
from gcc_platform.commands.finding import Finding
from gcc_platform.watch.settings import WatchSettings
from ingest_service.broker import topology
from ingest_service.broker.connection import connected
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.settings import Settings as IngestSettings
from tests.gcc_platform.commands.conftest import HOST
from tests.harness.management import escaped, management
from tests.harness.running import eventually

QUEUE = "order_log_events_q"


def declare(url: str, name: str = "", *, durable: bool = True, **arguments: Any) -> None:
    """Plant a queue, then everything that gcc-ingest init declares."""

    async def declared() -> None:
        async with connected(url, "tests") as connection:
            if name:
                async with connection.channel() as channel:
                    renamed = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
                    await channel.declare_queue(name, durable=durable, arguments=renamed)
            await topology.declare(connection, EVENT_TYPES.values())

    asyncio.run(declared())


def findings(broker: Mapping[str, str], **settings: Any) -> list[Finding]:
    watch = WatchSettings(RABBITMQ_MANAGEMENT_URL=SecretStr(broker["RABBITMQ_MANAGEMENT_URL"]))
    return list(queue_conditions.examine(watch, IngestSettings(AMQP_URL=SecretStr(broker["AMQP_URL"]), **settings)))


def failed(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.message, finding.advice) for finding in found if not finding.ok]


def test_what_init_declares_is_well_and_said_with_its_values(broker: Mapping[str, str]) -> None:
    declare(broker["AMQP_URL"])
    found = findings(broker)
    assert failed(found) == []
    messages = [finding.message for finding in found]
    assert messages[:3] == [
        "beat.dx sends messages without a queue to beat.unroutable",
        "25 queues are as gcc-ingest init declares them: durable = true, auto_delete = false, x-queue-type = quorum",
        "no delivery-limit on 24 quorum queues",
    ]
    assert messages[3].startswith("consumer_timeout = 1800000 ms (RabbitMQ's default, unless its configuration has")


def test_arguments_that_lose_messages_are_named_with_both_values_and_the_way_out(broker: Mapping[str, str]) -> None:
    declare(broker["AMQP_URL"], QUEUE, durable=False, message_ttl=60_000, max_length=5)
    wrong = dict(failed(findings(broker)))
    assert set(wrong) == {
        f"durable = false on {QUEUE}, gcc-ingest init declares true: a restart of the broker deletes it with its"
        " messages",
        f"x-message-ttl = 60000 on {QUEUE}, gcc-ingest init declares none: messages that wait longer are deleted",
        f"x-max-length = 5 on {QUEUE}, gcc-ingest init declares none: beyond it the oldest messages are deleted",
    }
    assert all("delete the queue, run gcc-ingest init" in advice for advice in wrong.values())


def test_arguments_that_lose_nothing_are_stated_as_the_owners_choice(broker: Mapping[str, str]) -> None:
    declare(broker["AMQP_URL"], QUEUE, queue_type="classic", max_length=5, overflow="reject-publish")
    found = findings(broker)
    assert failed(found) == []
    messages = [finding.message for finding in found]
    assert f"x-queue-type = classic on {QUEUE}, gcc-ingest init declares quorum" in messages
    assert f"x-max-length = 5 on {QUEUE}, gcc-ingest init declares none" in messages


def test_a_policy_that_loses_messages_is_named(broker: Mapping[str, str]) -> None:
    declare(broker["AMQP_URL"])
    definition = {"max-length-bytes": 1_000_000, "delivery-limit": 3}
    policy = {"pattern": "^(order|trace)_log_events_q$", "definition": definition, "apply-to": "queues"}
    management(broker, "PUT", f"policies/{HOST}/{escaped('small ones')}", policy)
    names = f"{QUEUE} and 1 more"

    def shown() -> list[tuple[str, str]]:
        """It shows a policy on one queue before it does so on the other."""
        found = failed(findings(broker))
        return found if all(names in message for message, _ in found) else []

    assert eventually(shown, what="the API shows the policy on both queues") == [
        (
            f"max-length-bytes = 1000000 (policy small ones) on {names}, gcc-ingest init declares none: beyond it the"
            " oldest messages are deleted",
            "change the policy small ones: rabbitmqctl set_policy",
        ),
        (
            f"delivery-limit = 3 (policy small ones) on {names}, -1 is needed: a message is dropped after 3 deliveries,"
            " which a crash loop can reach",
            "rabbitmqctl set_policy --apply-to queues beat-deliveries '_events_q$' '{\"delivery-limit\": -1}'",
        ),
    ]


def test_a_consumer_timeout_that_is_shorter_than_messages_are_held_is_named(broker: Mapping[str, str]) -> None:
    declare(broker["AMQP_URL"], QUEUE, queue_type="classic", consumer_timeout=900_000)
    [(message, advice)] = failed(findings(broker))
    assert message == (
        f"consumer_timeout = 900000 ms (argument) on {QUEUE}, the service holds a message for up to 1740000 ms"
    )
    assert advice == "raise it, or lower GCC_HOLD_SECONDS (now 1500) by more than the difference"
    assert failed(findings(broker, GCC_HOLD_SECONDS=600)) == []
    assert len(failed(findings(broker, GCC_HOLD_SECONDS=1_600))) == 2, "the other queues' default is too short then"


def test_an_exchange_that_drops_what_has_no_queue_is_named_unless_a_policy_helps(broker: Mapping[str, str]) -> None:
    async def plant() -> None:
        async with connected(broker["AMQP_URL"], "tests") as connection, connection.channel() as channel:
            await channel.declare_exchange("beat.dx", "direct", durable=True)

    asyncio.run(plant())
    declare(broker["AMQP_URL"])
    [(message, advice)] = failed(findings(broker))
    assert message == "beat.dx has no alternate-exchange: messages without a queue are dropped silently"
    assert '\'{"alternate-exchange": "beat.unroutable"}\'' in advice
    definition = {"alternate-exchange": "beat.unroutable"}
    policy = {"pattern": r"^beat\.dx$", "definition": definition, "apply-to": "exchanges"}
    management(broker, "PUT", f"policies/{HOST}/beat-unroutable", policy)
    assert failed(findings(broker)) == []


def test_without_the_management_api_it_is_said_that_nothing_was_asked() -> None:
    [finding] = queue_conditions.examine(WatchSettings(RABBITMQ_MANAGEMENT_URL=None), IngestSettings())
    assert finding.ok
    assert finding.message.startswith("not asked, because RABBITMQ_MANAGEMENT_URL is not set")


def test_a_user_whom_the_management_api_refuses_is_one_finding_without_the_password(broker: Mapping[str, str]) -> None:
    url = f"http://gcc:s3cret@{broker['RABBITMQ_MANAGEMENT_URL'].rpartition('@')[2]}"
    [(message, advice)] = failed(findings({**broker, "RABBITMQ_MANAGEMENT_URL": url}))
    assert "answers 401" in message
    assert "needs the tag management" in advice
    assert "s3cret" not in message + advice


@pytest.mark.parametrize(
    ("version", "arguments", "policy", "limited"),
    [
        ("3.13.7", {}, {}, ""),
        ("4.1.0", {}, {}, "delivery-limit = 20 (RabbitMQ's default, unless its configuration has another one)"),
        ("4.1.0", {}, {"delivery-limit": -1}, ""),
        ("4.1.0", {"x-delivery-limit": -1}, {}, ""),
        ("4.1.0", {"x-delivery-limit": 50}, {"delivery-limit": -1}, "delivery-limit = 50 (argument)"),
        ("4.1.0", {"x-delivery-limit": 50}, {"delivery-limit": 7}, "delivery-limit = 7 (policy p)"),
    ],
)
def test_the_delivery_limit_in_force_is_the_smaller_one_or_the_versions_default(
    version: str, arguments: Mapping[str, int], policy: Mapping[str, int], limited: str
) -> None:
    properties = {"durable": True, "auto_delete": False, "x-queue-type": "quorum", **arguments}
    facts = BrokerFacts(version, {QUEUE: QueueFacts(QUEUE, properties, policy, "p")}, "beat.unroutable")
    found = [message for message, _ in failed(list(queue_conditions.judge(facts, IngestSettings())))]
    assert [message.partition(" on ")[0] for message in found] == ([limited] if limited else [])
