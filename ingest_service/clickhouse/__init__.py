"""ClickHouse: a client, verified inserts, and the classification of errors."""
