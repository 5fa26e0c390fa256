"""The always-on service: crawl events from RabbitMQ into ClickHouse, in batches, losing nothing."""
