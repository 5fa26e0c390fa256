"""Keeps Dagster's history small: what is older than its limit is deleted, except the newest of everything."""
