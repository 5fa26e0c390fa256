-- An option, off by default: the sync's rows go through a bucket (GCC_SYNC_STAGE, docs/operations.md). Idempotent.
-- Write your bucket's URL, in the last statement with [.] for each dot, and the keys; then run it as an administrator:
--
--     clickhouse-client --host host --user admin --password --multiquery < deploy/grants/clickhouse_stage.sql
--
-- The user sync can then write objects below this URL. It cannot read any, write elsewhere, or see the keys. A server
-- whose own role may write to the bucket needs no keys: use_environment_credentials = 1 NOT OVERRIDABLE.
--
-- The last statement takes ClickHouse 25.8 and, in its configuration, access_control_improvements with
-- enable_read_write_grants = true. Without that it is GRANT S3 ON *.* TO sync, which opens the server's network to sync.

CREATE NAMED COLLECTION IF NOT EXISTS gcc_sync_stage AS
    url = 'https://bucket.s3.region.amazonaws.com/prefix/' NOT OVERRIDABLE,
    access_key_id = '...' NOT OVERRIDABLE,
    secret_access_key = '...' NOT OVERRIDABLE;

GRANT CREATE TEMPORARY TABLE ON *.* TO sync;
GRANT NAMED COLLECTION ON gcc_sync_stage TO sync;
GRANT WRITE ON S3('https://bucket[.]s3[.]region[.]amazonaws[.]com/prefix/.*') TO sync;
