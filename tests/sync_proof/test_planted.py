"""The short form of `make sync-proof`'s changes by hand."""

import random

from tests.sync_proof import planted
from tests.sync_proof.servers import Servers


def test_changes_by_hand_are_reported_with_keys_and_gone_within_24_refreshes_and_touched_ones_within_one(
    servers: Servers,
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    for gone in planted.run(servers, seed, 80, 6_000, 500, print):
        assert gone.is_healed, gone
