-- The old log tables as SQLAlchemy's create_all makes them: no event_id, no index on time alone, times without a zone.
CREATE TABLE IF NOT EXISTS profile_log (
    id BIGSERIAL NOT NULL, platform VARCHAR, profile_id VARCHAR, metrics JSONB, dimensions JSONB, source VARCHAR,
    timestamp TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
CREATE TABLE IF NOT EXISTS post_log (
    id BIGSERIAL NOT NULL, platform VARCHAR, platform_post_id VARCHAR, profile_id VARCHAR, metrics JSONB,
    dimensions JSONB, source VARCHAR, timestamp TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
CREATE TABLE IF NOT EXISTS profile_relationship_log (
    id BIGSERIAL NOT NULL, platform VARCHAR, source_profile_id VARCHAR, target_profile_id VARCHAR,
    relationship_type VARCHAR, source_metrics JSONB, target_metrics JSONB, source_dimensions JSONB,
    target_dimensions JSONB, source VARCHAR, timestamp TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
CREATE TABLE IF NOT EXISTS sentiment_log (
    id BIGSERIAL NOT NULL, platform VARCHAR, platform_post_id VARCHAR, comment_id VARCHAR, comment VARCHAR,
    sentiment VARCHAR, score DOUBLE PRECISION, metrics JSONB, dimensions JSONB, source VARCHAR,
    timestamp TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
CREATE TABLE IF NOT EXISTS post_activity_log (
    id BIGSERIAL NOT NULL, platform VARCHAR, activity_type VARCHAR, actor_profile_id VARCHAR, platform_post_id VARCHAR,
    metrics JSONB, dimensions JSONB, source VARCHAR, timestamp TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
CREATE TABLE IF NOT EXISTS order_log (
    id BIGSERIAL NOT NULL, platform VARCHAR, platform_order_id VARCHAR, store VARCHAR, metrics JSONB, dimensions JSONB,
    source VARCHAR, timestamp TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
-- A work queue too: its rows are updated (status, picked_at) until they are COMPLETE or FAILED.
CREATE TABLE IF NOT EXISTS scrape_request_log (
    id BIGSERIAL NOT NULL, idempotency_key VARCHAR UNIQUE, platform VARCHAR, flow VARCHAR, status VARCHAR,
    params JSONB, priority INTEGER, reason VARCHAR, created_at TIMESTAMP WITHOUT TIME ZONE,
    scraped_at TIMESTAMP WITHOUT TIME ZONE, picked_at TIMESTAMP WITHOUT TIME ZONE,
    expires_at TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
-- Derived from the same log object in the same transaction, hence with the same `timestamp`: a witness, not a source.
CREATE TABLE IF NOT EXISTS insta_account_ts (
    id BIGSERIAL NOT NULL, profile_id VARCHAR, handle VARCHAR, followers BIGINT, following BIGINT, media_count BIGINT,
    avg_likes DOUBLE PRECISION, avg_comments DOUBLE PRECISION, created_at TIMESTAMP WITHOUT TIME ZONE,
    timestamp TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
CREATE TABLE IF NOT EXISTS insta_post_ts (
    id BIGSERIAL NOT NULL, shortcode VARCHAR, likes BIGINT, comments BIGINT, plays BIGINT, reach BIGINT,
    created_at TIMESTAMP WITHOUT TIME ZONE, timestamp TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
CREATE TABLE IF NOT EXISTS asset_log (
    id BIGSERIAL NOT NULL, platform VARCHAR, asset_id VARCHAR, asset_type VARCHAR, entity_type VARCHAR,
    entity_id VARCHAR, url VARCHAR, status VARCHAR, metrics JSONB, dimensions JSONB, source VARCHAR,
    timestamp TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));
CREATE INDEX IF NOT EXISTS ix_profile_log_profile ON profile_log (platform, profile_id, timestamp);
CREATE INDEX IF NOT EXISTS ix_post_log_post ON post_log (platform, platform_post_id, timestamp);
