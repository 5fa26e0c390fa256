-- An image or video of a profile or post on its way into our storage.
CREATE TABLE IF NOT EXISTS _e.asset_log_events $on_cluster
(
    event_id UUID,
    source LowCardinality(String),
    platform LowCardinality(String),
    asset_id String,
    asset_type LowCardinality(String),
    entity_type LowCardinality(String),
    entity_id String,
    url String CODEC(ZSTD(1)),
    status LowCardinality(String),
    event_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    metrics String DEFAULT '{}' CODEC(ZSTD(1)),
    dimensions String DEFAULT '{}' CODEC(ZSTD(1)),
    extra String DEFAULT '{}' CODEC(ZSTD(1)),
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX arrival insert_timestamp TYPE minmax
)
ENGINE = $replacing_merge_tree(insert_timestamp)
PARTITION BY toYYYYMM(event_timestamp)
ORDER BY (platform, entity_id, asset_id, event_timestamp, event_id)
SETTINGS $settings
