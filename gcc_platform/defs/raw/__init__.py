"""The raw tables, which the ingest service writes, as Dagster sees them."""
