"""The job that publishes dead letters again."""
