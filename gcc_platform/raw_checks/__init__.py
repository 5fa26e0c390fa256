"""What is measured of the raw tables and their queues, and whether it is well. Without Dagster."""
