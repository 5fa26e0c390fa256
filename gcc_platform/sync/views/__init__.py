"""Views in PostgreSQL: those over the served tables, and replacing any view under its readers and dependents."""
