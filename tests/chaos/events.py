"""Events published with `gcc-ingest publish`, which returns when the broker has confirmed them."""

import json

from ingest_service.commands.simulator import Simulator
from tests.chaos.field import Field
from tests.harness.running import run


def publish(field: Field, name: str, lines: list[bytes]) -> None:
    """Publish these bodies, whatever they are."""
    done = run(field.environment, "publish", name, "-", stdin=b"\n".join(lines))
    assert done.returncode == 0, done.stderr.decode()


def good(name: str, count: int, more_bytes: int = 0) -> list[bytes]:
    """Events of a type, each as much larger as said."""
    simulator = Simulator(seed=count)
    events = [json.loads(simulator.event(name)) for _ in range(count)]
    for event in events:
        event["dimensions"] = {**event.get("dimensions", {}), "padding": "x" * more_bytes}
    return [json.dumps(event).encode() for event in events]
