-- One request of a crawler to somewhere; may be sent again. Every version is kept, the newest one of a trace_id counts.
CREATE TABLE IF NOT EXISTS _e.trace_log_events $on_cluster
(
    event_id UUID,
    source LowCardinality(String),
    platform LowCardinality(String),
    trace_id String,
    host_name LowCardinality(String),
    service_name LowCardinality(String),
    method LowCardinality(String),
    uri String CODEC(ZSTD(1)),
    status_code Int32,
    duration_ms Float64,
    started_at DateTime64(6, 'UTC'),
    event_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    extra String DEFAULT '{}' CODEC(ZSTD(1)),
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX arrival insert_timestamp TYPE minmax
)
ENGINE = $replacing_merge_tree(insert_timestamp)
PARTITION BY toYYYYMM(event_timestamp)
ORDER BY (platform, service_name, trace_id, event_timestamp, event_id)
SETTINGS $settings
