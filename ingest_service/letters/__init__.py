"""What becomes of dead letters: archived out of their error queues, looked at, and published again."""
