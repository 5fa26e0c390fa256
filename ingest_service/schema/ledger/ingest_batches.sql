-- The ledger: one row per insert that landed, written by the server in the insert itself (ingest_batches_of.sql).
CREATE TABLE IF NOT EXISTS _e.ingest_batches $on_cluster
(
    type LowCardinality(String),                   -- the event type
    batch String,                                  -- the insert's deduplication token; parts of a batch end in .0, .1, .2
    rows UInt64,                                   -- inserted, including those that repeat an event
    bytes UInt64,                                  -- of the rows
    first_received DateTime64(3, 'UTC'),           -- from the broker
    last_received DateTime64(3, 'UTC'),            -- from the broker
    min_event_time DateTime64(6, 'UTC'),           -- the earliest event_timestamp
    max_event_time DateTime64(6, 'UTC'),           -- the latest event_timestamp
    attempts UInt32,                               -- 1: the first attempt landed
    insert_ms Int64,                               -- from when the service sent it, by the service's clock
    redelivered UInt64,                            -- redelivered messages of the batch
    landed_at DateTime64(3, 'UTC') DEFAULT now64(3) -- by ClickHouse's clock
)
ENGINE = $merge_tree
PARTITION BY toYYYYMM(landed_at)
ORDER BY (type, landed_at)
TTL toDateTime(landed_at) + INTERVAL 1 YEAR
SETTINGS $settings
