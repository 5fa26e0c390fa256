"""The marts in PostgreSQL, where the API reads them."""
