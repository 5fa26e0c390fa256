-- A post as it was at a crawl: the highest volume by far. Read by post, then time.
CREATE TABLE IF NOT EXISTS _e.post_log_events $on_cluster
(
    event_id UUID,
    source LowCardinality(String),
    platform LowCardinality(String),
    profile_id String,
    handle Nullable(String),
    shortcode String,
    publish_time Nullable(DateTime64(6, 'UTC')),
    event_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    metrics String DEFAULT '{}' CODEC(ZSTD(1)),
    dimensions String DEFAULT '{}' CODEC(ZSTD(1)),
    extra String DEFAULT '{}' CODEC(ZSTD(1)),
    views Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'views', 'Nullable(Int64)') CODEC(ZSTD(1)),
    likes Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'likes', 'Nullable(Int64)') CODEC(ZSTD(1)),
    dislikes Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'dislikes', 'Nullable(Int64)') CODEC(ZSTD(1)),
    comments Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'comments', 'Nullable(Int64)') CODEC(ZSTD(1)),
    shares Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'shares', 'Nullable(Int64)') CODEC(ZSTD(1)),
    saves Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'saves', 'Nullable(Int64)') CODEC(ZSTD(1)),
    plays Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'plays', 'Nullable(Int64)') CODEC(ZSTD(1)),
    reach Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'reach', 'Nullable(Int64)') CODEC(ZSTD(1)),
    impressions Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'impressions', 'Nullable(Int64)') CODEC(ZSTD(1)),
    engagement Nullable(Float64) MATERIALIZED JSONExtract(metrics, 'engagement', 'Nullable(Float64)') CODEC(ZSTD(1)),
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = $replacing_merge_tree(insert_timestamp)
PARTITION BY toYYYYMM(event_timestamp)
ORDER BY (platform, profile_id, shortcode, event_timestamp, event_id)
SETTINGS $settings
