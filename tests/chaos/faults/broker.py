"""What happens to the broker, and what it refuses."""

import os
import signal
from collections.abc import Sequence

from tests.chaos.faults.fault import Fault
from tests.chaos.field import Field

_TARGET = "broker"
_POLICY = "policies/%2F/stricken"
_ALL = {"configure": ".*", "write": ".*", "read": ".*"}


def _signal_group(field: Field, number: signal.Signals) -> None:
    pid = field.broker.process.pid()
    assert pid is not None
    os.killpg(pid, number)


def _raise_memory_alarm(field: Field) -> None:
    field.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1")


def _clear_memory_alarm(field: Field) -> None:
    field.rabbitmqctl("set_vm_memory_high_watermark", "0.4")


def _raise_disk_alarm(field: Field) -> None:
    field.rabbitmqctl("set_disk_free_limit", str(10**15))


def _clear_disk_alarm(field: Field) -> None:
    field.rabbitmqctl("set_disk_free_limit", str(200 * 10**6))


def _let_error_queues_take_some(field: Field) -> None:
    limits = {"max-length": 2, "overflow": "reject-publish"}
    queues = r"^error\..*_events_q$"
    field.management("PUT", _POLICY, {"pattern": queues, "definition": limits, "apply-to": "queues"})


def _take_configure_away(field: Field) -> None:
    """The service's connection is made anew: rights are looked at when a channel first asks."""
    field.management("PUT", "permissions/%2F/gcc", {**_ALL, "configure": "^$"})
    field.broker_way.cut()


def _change_password(field: Field) -> None:
    """The management plugin asks for the new one from now on, too."""
    field.management("PUT", "users/gcc", {"password": "another", "tags": "administrator"})
    field.broker_way.cut()


FAULTS: Sequence[Fault] = (
    Fault(
        "broker killed",
        _TARGET,
        lambda field: field.kill(field.broker),
        lambda field: field.start(field.broker),
        redelivers=True,
    ),
    Fault(
        "broker paused",
        _TARGET,
        lambda field: _signal_group(field, signal.SIGSTOP),
        lambda field: _signal_group(field, signal.SIGCONT),
        3.0,
        redelivers=True,
    ),
    Fault("broker short of memory", _TARGET, _raise_memory_alarm, _clear_memory_alarm),
    Fault("broker short of disk", _TARGET, _raise_disk_alarm, _clear_disk_alarm),
    Fault(
        "error queues take some",
        _TARGET,
        _let_error_queues_take_some,
        lambda field: field.management("DELETE", _POLICY),
        2.0,
        noticed_as="transient/dead_letter_not_confirmed",
    ),
    Fault(
        "no right to configure",
        _TARGET,
        _take_configure_away,
        lambda field: field.management("PUT", "permissions/%2F/gcc", _ALL),
        seen=lambda field: field.service.get("/ready")[0] == 200,
        redelivers=True,
    ),
    Fault(
        "broker's password changed",
        _TARGET,
        _change_password,
        lambda field: field.management(
            "PUT", "users/gcc", {"password": field.broker.passwords["gcc"], "tags": "administrator"}, "another"
        ),
        seen=lambda field: "refused" in str(field.service.obstacles().get("broker")),
        redelivers=True,
    ),
)
