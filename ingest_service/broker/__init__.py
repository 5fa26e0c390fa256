"""RabbitMQ: topology, what a delivery is, consuming and publishing."""
