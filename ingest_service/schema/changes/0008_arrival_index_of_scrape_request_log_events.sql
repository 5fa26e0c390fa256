ALTER TABLE _e.scrape_request_log_events $on_cluster ADD INDEX IF NOT EXISTS arrival insert_timestamp TYPE minmax
