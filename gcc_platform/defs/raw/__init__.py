"""The raw tables, which the ingest service writes: seen from outside."""
