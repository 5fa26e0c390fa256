"""Dagster's definitions, in a folder per step of the flow: raw -> warehouse -> serving."""
