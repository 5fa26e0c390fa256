-- The privileges of each ClickHouse user. Idempotent. Create the users first, then run it as an administrator:
--
--     CREATE USER ingest IDENTIFIED BY '...';     likewise dbt, sync and migration
--     CREATE USER analyst IDENTIFIED BY '...' SETTINGS readonly = 2;
--     clickhouse-client --host host --user admin --password --multiquery < deploy/grants/clickhouse.sql
--
-- The local stack gives its users these privileges, and `gcc-platform doctor` checks them, statement by statement.
--
--     ingest     the ingest service, gcc-ingest init and archive: owns _e
--     dbt        reads _e, owns warehouse
--     sync       the copy to PostgreSQL, Dagster's sensor and checks: reads _e and warehouse
--     analyst    people: reads _e and warehouse
--     migration  only while a company moves over: writes _e, owns _legacy (PostgreSQL's rows), migration, and the
--                databases in which marts are built from both sides

-- No CREATE DICTIONARY: a dictionary whose source is an executable runs that executable. Not the groups ALTER and DROP,
-- which CHECK GRANT never confirms: they have privileges that exist only for the whole server.
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, INSERT, SELECT, TRUNCATE, OPTIMIZE,
    ALTER TABLE, ALTER VIEW, DROP DATABASE, DROP TABLE, DROP VIEW, DROP DICTIONARY ON _e.* TO ingest;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, INSERT, SELECT, TRUNCATE, OPTIMIZE,
    ALTER TABLE, ALTER VIEW, DROP DATABASE, DROP TABLE, DROP VIEW, DROP DICTIONARY ON warehouse.* TO dbt;
GRANT CREATE TEMPORARY TABLE ON *.* TO dbt;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, INSERT, SELECT, TRUNCATE, OPTIMIZE,
    ALTER TABLE, DROP DATABASE, DROP TABLE, DROP VIEW ON migration.* TO migration;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, INSERT, SELECT, TRUNCATE, OPTIMIZE,
    ALTER TABLE, DROP DATABASE, DROP TABLE, DROP VIEW ON _legacy.* TO migration;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, INSERT, SELECT, DROP DATABASE, DROP TABLE, DROP VIEW
    ON migration_events.* TO migration;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, INSERT, SELECT, DROP DATABASE, DROP TABLE, DROP VIEW
    ON migration_rows.* TO migration;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, INSERT, SELECT, TRUNCATE, OPTIMIZE,
    ALTER TABLE, ALTER VIEW, DROP DATABASE, DROP TABLE, DROP VIEW ON warehouse_events.* TO migration;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, INSERT, SELECT, TRUNCATE, OPTIMIZE,
    ALTER TABLE, ALTER VIEW, DROP DATABASE, DROP TABLE, DROP VIEW ON warehouse_legacy.* TO migration;
GRANT CREATE TEMPORARY TABLE ON *.* TO migration;
GRANT INSERT ON _e.* TO migration;

GRANT SELECT ON _e.* TO dbt, sync, analyst, migration;
GRANT SELECT ON _legacy.* TO dbt, analyst;
GRANT SELECT ON warehouse.* TO sync, analyst, migration;
GRANT SELECT ON system.* TO ingest, dbt, sync, analyst, migration;

-- Needed if table_engines_require_grant is on, as in the local stack. Each engine by name: TABLE ENGINE ON * includes
-- File, URL and S3, and with them all of the server's files and network.
GRANT
    TABLE ENGINE ON MergeTree, TABLE ENGINE ON ReplacingMergeTree, TABLE ENGINE ON SummingMergeTree,
    TABLE ENGINE ON AggregatingMergeTree, TABLE ENGINE ON CollapsingMergeTree,
    TABLE ENGINE ON VersionedCollapsingMergeTree, TABLE ENGINE ON ReplicatedMergeTree,
    TABLE ENGINE ON ReplicatedReplacingMergeTree, TABLE ENGINE ON ReplicatedSummingMergeTree,
    TABLE ENGINE ON ReplicatedAggregatingMergeTree, TABLE ENGINE ON ReplicatedCollapsingMergeTree,
    TABLE ENGINE ON ReplicatedVersionedCollapsingMergeTree, TABLE ENGINE ON Distributed,
    TABLE ENGINE ON Memory, TABLE ENGINE ON Null
TO ingest, dbt, migration;
