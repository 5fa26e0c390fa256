"""gcc-platform migration: moves the old PostgreSQL log tables over, with a proof at every step."""
