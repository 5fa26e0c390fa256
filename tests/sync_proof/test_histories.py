"""The short form of `make sync-proof`'s histories."""

import random

import pytest

from tests.sync_proof import histories
from tests.sync_proof.servers import Servers


@pytest.mark.parametrize("number", range(2))
def test_after_each_sync_of_a_random_history_postgresql_serves_what_the_mart_has(servers: Servers, number: int) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    found = histories.run(servers, seed, 6, print)
    assert found.syncs >= 6
