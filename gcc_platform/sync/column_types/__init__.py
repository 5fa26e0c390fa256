"""The types of columns: ClickHouse's in PostgreSQL, what is refused, and what has to be cleaned."""
