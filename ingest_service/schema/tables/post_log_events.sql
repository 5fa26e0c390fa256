-- A post as it was at a crawl: the highest volume by far. Read by post, then time.
--
-- Why these types and codecs, here and in the other tables. 300,000 simulated post_log events, inserts of 10,000 with
-- fsync, medians of three rounds on 2 cores; the query is the newest views of every post (the machine drifts: compare
-- rows, do not quote one):
--                                            rows/s   CPU s/million   bytes/row merged   query ms
--     as it is                               82,000        16.6             37.6            28
--     metrics, dimensions, extra ZSTD(3)     88,000        15.6             36.7            31
--     LZ4 everywhere                         88,000        14.9             55.9            31
--     without the typed columns             127,000        10.6             31.1            80
--     ids with ZSTD(1)                       89,000        15.8             37.8            41
--     profile_id, handle LowCardinality      84,000        16.7             37.3            30
-- The typed columns are a third of an insert's CPU, and make a query three times as fast. LZ4 takes half as much disk
-- again to save a tenth of the CPU. ZSTD(3) gives nothing, nor do dictionaries of ids, which grow with the profiles.
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
    insert_timestamp DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX arrival insert_timestamp TYPE minmax
)
ENGINE = $replacing_merge_tree(insert_timestamp)
PARTITION BY toYYYYMM(event_timestamp)
ORDER BY (platform, profile_id, shortcode, event_timestamp, event_id)
SETTINGS $settings
