"""ClickHouse: a client, inserts that are proved, and what errors mean."""
