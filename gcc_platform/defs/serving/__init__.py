"""The marts in PostgreSQL, which the API reads."""
