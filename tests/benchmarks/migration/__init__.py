"""A migration of an old database of twenty million rows, killed again and again: `make migration`."""
