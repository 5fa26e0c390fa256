"""The way back: events that only ClickHouse has flow into the old tables, so that going back loses nothing."""
