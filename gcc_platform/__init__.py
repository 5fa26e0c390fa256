"""The Dagster code location: raw tables, dbt models and the PostgreSQL sync as assets, and the commands to run it."""
