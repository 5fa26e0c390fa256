"""Compares existing queues with those that gcc-ingest init declares: arguments, and policies of the same effect."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gcc_platform.commands.broker_management import QueueFacts
from gcc_platform.commands.finding import Finding, some
from ingest_service.broker.topology import QUEUE_ARGUMENTS

_DECLARED: Mapping[str, Any] = {"durable": True, "auto_delete": False, **QUEUE_ARGUMENTS}

# Everything else that differs is the choice of the queue's owner.
_LOSSES = {
    "durable": "a restart of the broker deletes it with its messages",
    "auto_delete": "it is deleted with its messages when its last consumer leaves",
    "x-message-ttl": "messages that wait longer are deleted",
    "x-expires": "it is deleted with its messages when it is unused for that time",
    "x-max-length": "beyond it the oldest messages are deleted",
    "x-max-length-bytes": "beyond it the oldest messages are deleted",
}
_BOUNDS = ("x-max-length", "x-max-length-bytes")
_CHECKED_APART = ("x-delivery-limit", "x-consumer-timeout")

_ARGUMENT_ADVICE = (
    "an argument cannot be changed: move the messages away (rabbitmq_shovel), delete the queue, run gcc-ingest init"
)


@dataclass(frozen=True)
class _Difference:
    """What one queue has, and what is declared."""

    found: str
    declared: str
    loss: str
    advice: str


def examine(subject: str, queues: Iterable[QueueFacts]) -> Iterator[Finding]:
    """Queues that differ alike are one finding. It fails if messages may be lost by the difference."""
    queues = list(queues)
    alike: dict[_Difference, list[str]] = {}
    for queue in queues:
        for each in (*_of_properties(queue), *_of_policies(queue)):
            alike.setdefault(each, []).append(queue.name)
    for each, names in alike.items():
        message = f"{each.found} on {some(names)}, gcc-ingest init declares {each.declared}"
        if each.loss:
            yield Finding(subject, False, f"{message}: {each.loss}", each.advice)
        else:
            yield Finding(subject, True, message)
    if not alike:
        yield Finding(subject, True, f"{len(queues)} queues are as gcc-ingest init declares them: {_all_declared()}")


def _of_properties(queue: QueueFacts) -> Iterator[_Difference]:
    for name in sorted((_DECLARED.keys() | queue.properties.keys()) - {*_CHECKED_APART}):
        found, wanted = queue.properties.get(name), _DECLARED.get(name)
        if found != wanted:
            shown = f"{name} = {_shown(found)}"
            yield _Difference(shown, _shown(wanted), _loss(queue, name), _ARGUMENT_ADVICE)


def _of_policies(queue: QueueFacts) -> Iterator[_Difference]:
    for name, found in sorted(queue.policy.items()):
        argument = f"x-{name}"
        if argument not in {*_CHECKED_APART, *queue.properties}:
            shown = f"{name} = {_shown(found)} (policy {queue.policy_name})"
            advice = f"change the policy {queue.policy_name}: rabbitmqctl set_policy"
            yield _Difference(shown, "none", _loss(queue, argument), advice)


def _loss(queue: QueueFacts, argument: str) -> str:
    overflow = str(queue.properties.get("x-overflow", queue.policy.get("overflow")))
    if argument in _BOUNDS and overflow.startswith("reject-publish"):
        return ""  # publishers are refused, and keep their messages
    return _LOSSES.get(argument, "")


def _all_declared() -> str:
    return ", ".join(f"{name} = {_shown(value)}" for name, value in _DECLARED.items())


def _shown(value: object) -> str:
    """As RabbitMQ writes it."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
