"""An old database to rehearse a migration on: its tables, and rows as five years of crawling leave them."""
