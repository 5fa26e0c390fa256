"""What happens to the service's own process."""

import signal
from collections.abc import Sequence

from tests.chaos.faults.fault import Act, Fault
from tests.chaos.field import Field
from tests.harness import clocks

_TARGET = "service"
_SKEW_SECONDS = 1_200


def _kill(field: Field) -> None:
    field.service.kill()


def _terminate(field: Field) -> None:
    assert field.service.terminate() == 0, "SIGTERM is an orderly stop"


def _restart(field: Field) -> None:
    field.service.restart()


def _pause(field: Field) -> None:
    field.service.process.send_signal(signal.SIGSTOP)


def _resume(field: Field) -> None:
    field.service.process.send_signal(signal.SIGCONT)


def _restart_with_a_clock(ahead: int) -> Act:
    """Of all hosts, the service's alone tells another time."""

    def strike(field: Field) -> None:
        field.service.terminate()
        field.service.restart(**(clocks.ahead(ahead) if ahead else {}))

    return strike


FAULTS: Sequence[Fault] = (
    Fault("service killed", _TARGET, _kill, _restart, redelivers=True),
    Fault("service stopped by SIGTERM", _TARGET, _terminate, _restart),
    Fault("service paused", _TARGET, _pause, _resume, 3.0, redelivers=True),
    Fault(
        "service's clock ahead",
        _TARGET,
        _restart_with_a_clock(_SKEW_SECONDS),
        _restart_with_a_clock(0),
        seen=lambda field: field.service.get("/ready")[0] == 200,
        unless=lambda _field: clocks.why_not(),
    ),
    Fault(
        "service's clock behind",
        _TARGET,
        _restart_with_a_clock(-_SKEW_SECONDS),
        _restart_with_a_clock(0),
        seen=lambda field: field.service.get("/ready")[0] == 200,
        unless=lambda _field: clocks.why_not(),
    ),
)
