"""make bench ARGS=sync: what the sync and a whole refresh cost."""
