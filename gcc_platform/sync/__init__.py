"""The copy of the marts from ClickHouse to PostgreSQL. It imports no Dagster."""
