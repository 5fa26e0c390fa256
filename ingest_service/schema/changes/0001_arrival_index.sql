ALTER TABLE $table $on_cluster ADD INDEX IF NOT EXISTS arrival insert_timestamp TYPE minmax
