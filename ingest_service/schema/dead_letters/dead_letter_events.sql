-- Dead letters as they were archived, one row each: one that fails again after a replay replaces its row, with more
-- attempts. Where first_rejected_at is 1970 the message did not say.
CREATE TABLE IF NOT EXISTS _e.dead_letter_events $on_cluster
(
    letter_id UUID, -- the same for a message that is rejected again after a replay
    event_type LowCardinality(String), -- the type whose error queue it was in
    reason LowCardinality(String), -- x-gcc-reason: why it cannot be stored
    detail String CODEC(ZSTD(1)), -- x-gcc-detail: the field, or what the table answered
    attempts UInt32, -- how often it was rejected
    first_rejected_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), -- 1970: the message did not say
    last_rejected_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), -- 1970: the message did not say
    original_exchange LowCardinality(String), -- where it was published first
    original_routing_key LowCardinality(String), -- its routing key then
    headers String CODEC(ZSTD(1)), -- all headers, as a JSON object
    body_base64 String EPHEMERAL, -- JSON cannot hold a body that is not UTF-8
    body String DEFAULT base64Decode(body_base64) CODEC(ZSTD(1)), -- byte for byte
    archive_file LowCardinality(String), -- the file that has it too
    archived_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)), -- by the archive's clock
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)) -- by ClickHouse's clock
)
ENGINE = $replacing_merge_tree(attempts)
PARTITION BY toYYYYMM(first_rejected_at)
ORDER BY (event_type, letter_id)
SETTINGS $settings
