-- An affiliate order; sent again whenever it changes. Every version is kept, the newest one of an order_id counts.
CREATE TABLE IF NOT EXISTS _e.affiliate_order_events $on_cluster
(
    event_id UUID,
    source LowCardinality(String),
    platform LowCardinality(String),
    order_id String,
    store LowCardinality(String),
    status LowCardinality(String),
    amount Decimal(38, 9),
    currency LowCardinality(String),
    updated_at DateTime64(6, 'UTC'),
    event_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    metrics String DEFAULT '{}' CODEC(ZSTD(1)),
    dimensions String DEFAULT '{}' CODEC(ZSTD(1)),
    extra String DEFAULT '{}' CODEC(ZSTD(1)),
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX arrival insert_timestamp TYPE minmax
)
ENGINE = $replacing_merge_tree(insert_timestamp)
PARTITION BY toYYYYMM(event_timestamp)
ORDER BY (platform, store, order_id, event_timestamp, event_id)
SETTINGS $settings
