"""Real servers for development and tests: RabbitMQ, ClickHouse and PostgreSQL, private, on loopback."""
