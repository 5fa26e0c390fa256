"""What the service says about itself: health, metrics, HTTP, logs."""
