"""Moves the messages of one event type from its queue into its table, batch by batch."""
