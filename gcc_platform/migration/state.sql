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
    verified_at timestamptz,                -- when ClickHouse last had that sum
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
    moved_at timestamptz NOT NULL DEFAULT now(),
    looked_at timestamptz NOT NULL DEFAULT now() -- when it looked last, whether there was anything or not
);
ALTER TABLE migration.chunks ADD COLUMN IF NOT EXISTS verified_at timestamptz;
ALTER TABLE migration.tail ADD COLUMN IF NOT EXISTS looked_at timestamptz NOT NULL DEFAULT now();
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

-- The days whose totals were equal. They are compared again when one of the sides has moved.
CREATE TABLE IF NOT EXISTS migration.agreed_days (
    legacy_table text NOT NULL,
    day date NOT NULL,                      -- by UTC
    totals jsonb,                           -- by metric, how many and their sum; NULL if the sides were not equal
    verified_at timestamptz NOT NULL DEFAULT now(), -- when ClickHouse last had them
    PRIMARY KEY (legacy_table, day)
);

-- What was known whenever totals were compared: whatever is not covered by it is new.
CREATE TABLE IF NOT EXISTS migration.looks (
    legacy_table text NOT NULL,
    looked_at timestamptz NOT NULL DEFAULT now(),
    counters text,                          -- of changed and deleted rows in the old database; NULL on a replica
    next_id bigint NOT NULL,                -- all rows with smaller ids were there
    arrived_until timestamptz NOT NULL,     -- all rows that arrived in ClickHouse before were there
    until date NOT NULL,                    -- days from this one on were not compared
    PRIMARY KEY (legacy_table, looked_at)
);

-- The old database's counters when all rows of a table were last read again.
CREATE TABLE IF NOT EXISTS migration.deep_look (
    legacy_table text PRIMARY KEY,
    counters text                           -- NULL on a replica
);

-- How far the reverse writer has read, by the insert_timestamp of ClickHouse's rows.
CREATE TABLE IF NOT EXISTS migration.reverse (
    legacy_table text PRIMARY KEY,
    arrived_until timestamptz NOT NULL,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_written bigint NOT NULL DEFAULT 0, -- those that PostgreSQL did not have
    moved_at timestamptz NOT NULL DEFAULT now()
);

-- How far the old rows are mirrored in _legacy, for the comparison of marts and for warehouses that still read them.
CREATE TABLE IF NOT EXISTS migration.mirror (
    legacy_table text PRIMARY KEY,
    next_id bigint NOT NULL,
    rows bigint NOT NULL DEFAULT 0,         -- copied since the beginning
    seen_id bigint NOT NULL,                -- the newest id at seen_at
    seen_at timestamptz NOT NULL,           -- by the old database's clock
    moved_at timestamptz NOT NULL DEFAULT now()
);

-- Rows that the mirror has passed and that are not final, in a table whose rows are updated.
CREATE TABLE IF NOT EXISTS migration.mirror_unfinished (
    legacy_table text NOT NULL,
    id bigint NOT NULL,
    PRIMARY KEY (legacy_table, id)
);

-- Events that the old tables cannot store, one by one, until one is stored after all.
CREATE TABLE IF NOT EXISTS migration.unwritten (
    legacy_table text NOT NULL,
    event_id uuid NOT NULL,
    reason text NOT NULL,                   -- PostgreSQL's words
    found_at timestamptz NOT NULL DEFAULT now(),    -- the last time that it was refused
    PRIMARY KEY (legacy_table, event_id)
);

-- What each gate found, each time it was measured.
CREATE TABLE IF NOT EXISTS migration.gate_results (
    legacy_table text NOT NULL,
    gate text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    passed boolean NOT NULL,
    reason text NOT NULL,                   -- a sentence with the numbers
    detail jsonb NOT NULL,                  -- the numbers
    PRIMARY KEY (legacy_table, gate, at)
);

-- Each phase that a table has entered, forward and back.
CREATE TABLE IF NOT EXISTS migration.phases (
    legacy_table text NOT NULL,
    phase text NOT NULL,                    -- legacy, dual, verified, reads, events, done
    entered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    came_from text NOT NULL,
    entered_by text NOT NULL,
    evidence jsonb NOT NULL,                -- the gates as they stood
    PRIMARY KEY (legacy_table, entered_at)
);
