-- Dead letters as they were archived, one row each: one that fails again after a replay replaces its row, with more
-- attempts. Where first_rejected_at is 1970 the message did not say.
CREATE TABLE IF NOT EXISTS _e.dead_letter_events $on_cluster
(
    letter_id UUID,
    event_type LowCardinality(String),
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    attempts UInt32,
    first_rejected_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    last_rejected_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    original_exchange LowCardinality(String),
    original_routing_key LowCardinality(String),
    headers String CODEC(ZSTD(1)),
    body_base64 String EPHEMERAL, -- JSON cannot hold a body that is not UTF-8
    body String DEFAULT base64Decode(body_base64) CODEC(ZSTD(1)),
    archive_file LowCardinality(String),
    archived_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = $replacing_merge_tree(attempts)
PARTITION BY toYYYYMM(first_rejected_at)
ORDER BY (event_type, letter_id)
SETTINGS $settings
