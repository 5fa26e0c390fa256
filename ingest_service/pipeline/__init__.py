"""One event type's way from its queue into its table."""
