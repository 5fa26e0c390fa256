-- What happened to one crawl request. Operational: read as today's failures of this flow, so partitions are days.
CREATE TABLE IF NOT EXISTS _e.scrape_request_log_events $on_cluster
(
    event_id UUID,
    platform LowCardinality(String),
    scl_id UInt64,
    flow LowCardinality(String),
    params String DEFAULT '{}' CODEC(ZSTD(1)),
    status LowCardinality(String),
    priority Nullable(Int32),
    reason Nullable(String) CODEC(ZSTD(1)),
    picked_at Nullable(DateTime64(6, 'UTC')),
    expires_at Nullable(DateTime64(6, 'UTC')),
    event_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    extra String DEFAULT '{}' CODEC(ZSTD(1)),
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX arrival insert_timestamp TYPE minmax
)
ENGINE = $replacing_merge_tree(insert_timestamp)
PARTITION BY toDate(event_timestamp)
ORDER BY (platform, flow, event_timestamp, event_id)
SETTINGS $settings
