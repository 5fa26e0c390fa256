"""What each gcc-ingest command does; cli.py puts them together."""
