"""What the watch reports, in Dagster's UI."""
