"""Private RabbitMQ, ClickHouse and PostgreSQL servers on loopback, for development and tests."""
