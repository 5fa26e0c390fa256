-- The ledger: one row per insert that landed, written by the server in the insert itself (ingest_batches_of.sql).
CREATE TABLE IF NOT EXISTS _e.ingest_batches $on_cluster
(
    type LowCardinality(String),
    batch String,                                  -- the insert's deduplication token; parts of a batch end in .0, .1, .2
    rows UInt64,
    bytes UInt64,
    first_received DateTime64(3, 'UTC'),           -- from the broker
    last_received DateTime64(3, 'UTC'),
    min_event_time DateTime64(6, 'UTC'),
    max_event_time DateTime64(6, 'UTC'),
    attempts UInt32,
    insert_ms Int64,                               -- from when the service sent it, by the service's clock
    redelivered UInt64,                            -- redelivered messages of the batch
    landed_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = $merge_tree
PARTITION BY toYYYYMM(landed_at)
ORDER BY (type, landed_at)
TTL toDateTime(landed_at) + INTERVAL 1 YEAR
SETTINGS $settings
