ALTER TABLE _e.affiliate_order_events $on_cluster ADD INDEX IF NOT EXISTS arrival insert_timestamp TYPE minmax
