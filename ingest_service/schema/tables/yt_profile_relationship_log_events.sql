-- A subscription edge between two channels.
CREATE TABLE IF NOT EXISTS _e.yt_profile_relationship_log_events $on_cluster
(
    event_id UUID,
    source LowCardinality(String),
    platform LowCardinality(String),
    source_profile_id String,
    target_profile_id String,
    relationship_type LowCardinality(String),
    event_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    metrics String DEFAULT '{}' CODEC(ZSTD(1)),
    dimensions String DEFAULT '{}' CODEC(ZSTD(1)),
    extra String DEFAULT '{}' CODEC(ZSTD(1)),
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX arrival insert_timestamp TYPE minmax
)
ENGINE = $replacing_merge_tree(insert_timestamp)
PARTITION BY toYYYYMM(event_timestamp)
ORDER BY (platform, source_profile_id, target_profile_id, event_timestamp, event_id)
SETTINGS $settings
