"""The raw tables: one .sql file per table, numbered changes to tables that exist, and applying both."""
