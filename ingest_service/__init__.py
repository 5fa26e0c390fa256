"""The ingest service: writes crawl events from RabbitMQ to ClickHouse in batches and loses none."""
