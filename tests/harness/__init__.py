"""What several test folders use: running services, faulty peers, oracles of work."""
