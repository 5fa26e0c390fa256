-- An option, off by default: the sync's rows go through a folder (GCC_SYNC_STAGE, docs/operations.md). Idempotent.
-- The user sync can then write files anywhere below the server's user_files_path: make that the stage's folder, or one
-- that has nothing else. It cannot read any. WRITE takes ClickHouse 25.7 and enable_read_write_grants, as in
-- clickhouse_stage.sql; without that it is GRANT FILE ON *.* TO sync, which also lets sync read these files.

GRANT CREATE TEMPORARY TABLE ON *.* TO sync;
GRANT WRITE ON FILE TO sync;
