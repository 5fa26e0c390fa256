"""RabbitMQ: topology, consuming under a lease, publishing with confirms."""
