"""make sync-proof: histories, kills, readers and changes by hand, with oracles that share no code with the sync."""
