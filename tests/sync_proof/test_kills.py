"""The short form of `make sync-proof`'s kills: at some statements of each kind of sync, in each way."""

import random

import pytest

from tests.sync_proof import kills
from tests.sync_proof.killing import Way
from tests.sync_proof.servers import Servers

_EVERY = 23


@pytest.mark.parametrize("scenario", kills.SCENARIOS)
def test_a_sync_killed_at_a_statement_leaves_a_complete_version_and_the_next_one_is_right(
    servers: Servers, scenario: str
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    way = random.Random(seed).choice([way for way in Way if way is not Way.QUERY])
    assert kills.run(servers, scenario, way, seed, print, step=_EVERY).kills > 0
