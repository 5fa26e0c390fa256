ALTER TABLE _e.trace_log_events $on_cluster ADD INDEX IF NOT EXISTS arrival insert_timestamp TYPE minmax
