"""The daily pruning of Dagster's history."""
