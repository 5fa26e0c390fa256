-- Where the migration stands, in the platform's PostgreSQL: the old one may be a replica that nothing can be written to.
-- The backfill's work: ranges of ids, each of which is repeated until it is done.
CREATE TABLE IF NOT EXISTS migration.chunks (
    legacy_table text NOT NULL,
    first_id bigint NOT NULL,               -- rows with first_id <= id <= last_id
    last_id bigint NOT NULL,
    state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'running', 'done', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    rows_written bigint,                    -- rows that ClickHouse has confirmed
    rows_rejected bigint,                   -- rows that can be no events: see migration.rejected
    min_timestamp timestamptz,              -- of the rows written
    max_timestamp timestamptz,
    copied_sum numeric,                     -- the checksum of the rows as PostgreSQL sent them
    sealed_sum numeric,                     -- the checksum that both sides agreed on
    sealed_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    worker text,                            -- host and process of the last attempt
    error text,                             -- why the last attempt failed
    PRIMARY KEY (legacy_table, first_id)
);

-- Rows that can be no events, one by one.
CREATE TABLE IF NOT EXISTS migration.rejected (
    legacy_table text NOT NULL,
    id bigint NOT NULL,
    reason text NOT NULL,                   -- missing_field, no_time, implausible_time, refused
    detail text NOT NULL,                   -- the row, or the server's words
    found_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolution text,
    PRIMARY KEY (legacy_table, id)
);

-- How far the tail has read.
CREATE TABLE IF NOT EXISTS migration.tail (
    legacy_table text PRIMARY KEY,
    next_id bigint NOT NULL,
    rows bigint NOT NULL DEFAULT 0,         -- taken since the beginning
    moved_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE migration.tail ADD COLUMN IF NOT EXISTS slot_wal_bytes bigint;  -- that the old server keeps for the slot

-- Ids below next_id that no row had when the tail passed them: a transaction that is under way may still insert them.
CREATE TABLE IF NOT EXISTS migration.gaps (
    legacy_table text NOT NULL,
    first_id bigint NOT NULL,
    last_id bigint NOT NULL,
    seen_at timestamptz NOT NULL,           -- by the old database's clock
    PRIMARY KEY (legacy_table, first_id)
);

-- What parity found, each with its cause.
CREATE TABLE IF NOT EXISTS migration.differences (
    legacy_table text NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL,                     -- only in PostgreSQL, only in ClickHouse, differs, twice in ClickHouse
    cause text,                             -- of rows that were written to both sides
    detail text,                            -- the columns that differ
    day date,                               -- by UTC, of rows that were written to both sides
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolution text,
    PRIMARY KEY (legacy_table, event_id, kind)
);

-- How far the reverse writer has read, by the insert_timestamp of ClickHouse's rows.
CREATE TABLE IF NOT EXISTS migration.reverse (
    legacy_table text PRIMARY KEY,
    arrived_until timestamptz NOT NULL,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_written bigint NOT NULL DEFAULT 0, -- those that PostgreSQL did not have
    moved_at timestamptz NOT NULL DEFAULT now()
);

-- Events that the old tables cannot store, one by one, until one is stored after all.
CREATE TABLE IF NOT EXISTS migration.unwritten (
    legacy_table text NOT NULL,
    event_id uuid NOT NULL,
    reason text NOT NULL,                   -- PostgreSQL's words
    found_at timestamptz NOT NULL DEFAULT now(),    -- the last time that it was refused
    PRIMARY KEY (legacy_table, event_id)
);
