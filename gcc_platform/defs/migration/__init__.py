"""The migration of the old PostgreSQL tables as assets: there are none unless GCC_LEGACY_URL is set."""
