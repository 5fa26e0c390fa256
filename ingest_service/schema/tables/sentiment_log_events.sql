-- The sentiment of one comment, score from -1 to 1.
CREATE TABLE IF NOT EXISTS _e.sentiment_log_events $on_cluster
(
    event_id UUID,
    source LowCardinality(String),
    platform LowCardinality(String),
    shortcode String,
    comment_id String,
    comment Nullable(String) CODEC(ZSTD(1)),
    sentiment LowCardinality(String),
    score Float64,
    event_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    metrics String DEFAULT '{}' CODEC(ZSTD(1)),
    dimensions String DEFAULT '{}' CODEC(ZSTD(1)),
    extra String DEFAULT '{}' CODEC(ZSTD(1)),
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX arrival insert_timestamp TYPE minmax
)
ENGINE = $replacing_merge_tree(insert_timestamp)
PARTITION BY toYYYYMM(event_timestamp)
ORDER BY (platform, shortcode, comment_id, event_timestamp, event_id)
SETTINGS $settings
