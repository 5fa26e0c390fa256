"""The raw tables: one .sql file per table, numbered changes to existing tables, and applying both."""
