"""Parity: whether both sides have the same rows, and why not. Each level is independent of the way rows are moved."""
