-- A profile as it was at a crawl. Read as: this influencer's metrics over the last N days.
CREATE TABLE IF NOT EXISTS _e.profile_log_events $on_cluster
(
    event_id UUID,
    source LowCardinality(String),
    platform LowCardinality(String),
    profile_id String,
    handle Nullable(String),
    event_timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    metrics String DEFAULT '{}' CODEC(ZSTD(1)),
    dimensions String DEFAULT '{}' CODEC(ZSTD(1)),
    extra String DEFAULT '{}' CODEC(ZSTD(1)),
    followers Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'followers', 'Nullable(Int64)') CODEC(ZSTD(1)),
    following Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'following', 'Nullable(Int64)') CODEC(ZSTD(1)),
    posts Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'posts', 'Nullable(Int64)') CODEC(ZSTD(1)),
    subscribers Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'subscribers', 'Nullable(Int64)') CODEC(ZSTD(1)),
    views Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'views', 'Nullable(Int64)') CODEC(ZSTD(1)),
    videos Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'videos', 'Nullable(Int64)') CODEC(ZSTD(1)),
    reach Nullable(Int64) MATERIALIZED JSONExtract(metrics, 'reach', 'Nullable(Int64)') CODEC(ZSTD(1)),
    avg_likes Nullable(Float64) MATERIALIZED JSONExtract(metrics, 'avg_likes', 'Nullable(Float64)') CODEC(ZSTD(1)),
    avg_comments Nullable(Float64) MATERIALIZED JSONExtract(metrics, 'avg_comments', 'Nullable(Float64)') CODEC(ZSTD(1)),
    avg_views Nullable(Float64) MATERIALIZED JSONExtract(metrics, 'avg_views', 'Nullable(Float64)') CODEC(ZSTD(1)),
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX arrival insert_timestamp TYPE minmax
)
ENGINE = $replacing_merge_tree(insert_timestamp)
PARTITION BY toYYYYMM(event_timestamp)
ORDER BY (platform, profile_id, event_timestamp, event_id)
SETTINGS $settings
