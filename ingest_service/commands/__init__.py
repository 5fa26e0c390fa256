"""The gcc-ingest commands; cli.py registers them."""
