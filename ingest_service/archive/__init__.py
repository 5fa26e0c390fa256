"""Dead letters out of their queues: into files and a table, and published again."""
