"""The faults: how each strikes for real, and how it is healed. One file for each target."""

from collections.abc import Sequence

from tests.chaos.faults import broker, clickhouse, profiles, service, ways
from tests.chaos.faults.fault import Fault

FAULTS: Sequence[Fault] = (
    *service.FAULTS,
    *broker.FAULTS,
    *clickhouse.FAULTS,
    *profiles.FAULTS,
    *ways.FAULTS,
)
