"""The short form of `make sync-proof`'s readers."""

import random

from tests.sync_proof import readers
from tests.sync_proof.servers import Servers


def test_readers_see_no_error_and_nothing_partial_and_users_lose_nothing(servers: Servers) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    found = readers.run(servers, seed, 4, 1, readers.SCHEMA_CHANGES[:3], print, long_seconds=0.4)
    assert found.is_undisturbed, found
