"""What the service reports about itself: health, metrics, HTTP, logs."""
