-- The roles of the serving database and their privileges. Idempotent. Run it in the serving database as a superuser, or
-- as a role with CREATEROLE that owns the database:
--
--     psql --set ON_ERROR_STOP=1 --file deploy/grants/postgres.sql "postgresql://admin@host/gcc"
--
-- It sets no passwords. Set them afterwards: ALTER ROLE sync PASSWORD '...', likewise for dbt, api and migration.
-- The local stack runs this file, and `gcc-platform doctor` checks the grants on the database and on schemas in it.
--
--     sync   owns serving_data (tables) and serving (views over them); creates the views in api again, as dbt, when a
--            column that they read changes its type
--     dbt    reads serving, owns api
--     api    reads api, in transactions of some seconds
--     migration  only while a company moves over: owns migration, the state of that

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['sync', 'dbt', 'api', 'migration'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role);
        END IF;
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO sync, dbt, api, migration', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO sync, dbt', current_database());
END
$$;

-- A view cannot be replaced while a transaction that has read it goes on: none of the API's may go on for long.
ALTER ROLE api SET default_transaction_read_only = on;
ALTER ROLE api SET statement_timeout = '10s';
ALTER ROLE api SET idle_in_transaction_session_timeout = '10s';
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        ALTER ROLE api SET transaction_timeout = '30s';
    END IF;
END
$$;

-- Only a member of a role, or a superuser, may create a schema that the role owns.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT sync, dbt, migration TO %I', current_user);
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS serving_data AUTHORIZATION sync;
CREATE SCHEMA IF NOT EXISTS serving AUTHORIZATION sync;
CREATE SCHEMA IF NOT EXISTS api AUTHORIZATION dbt;
CREATE SCHEMA IF NOT EXISTS migration AUTHORIZATION migration;

-- A view reads its tables with its owner's rights: only sync needs any in serving_data, and only dbt in serving.
GRANT USAGE ON SCHEMA serving TO dbt;
GRANT SELECT ON ALL TABLES IN SCHEMA serving TO dbt;
ALTER DEFAULT PRIVILEGES FOR ROLE sync IN SCHEMA serving GRANT SELECT ON TABLES TO dbt;

-- Earlier versions of this file let api read serving.
REVOKE USAGE ON SCHEMA serving FROM api;
REVOKE SELECT ON ALL TABLES IN SCHEMA serving FROM api;
ALTER DEFAULT PRIVILEGES FOR ROLE sync IN SCHEMA serving REVOKE SELECT ON TABLES FROM api;

-- A mart's column can change its type, or go, only if the views over the mart are dropped and created again, in one
-- transaction, as their owner. sync has none of dbt's privileges until it acts as dbt with SET ROLE. PostgreSQL 15 has
-- no membership without them. A view of another role over `serving` needs such a grant for sync, one over `api` for dbt;
-- without it the mart is not replaced, its old rows are served, and the error names the view and the GRANT.
DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 160000 THEN
        EXECUTE 'GRANT dbt TO sync WITH INHERIT FALSE, SET TRUE';
    ELSE
        GRANT dbt TO sync;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA api TO api;
GRANT SELECT ON ALL TABLES IN SCHEMA api TO api;
ALTER DEFAULT PRIVILEGES FOR ROLE dbt IN SCHEMA api GRANT SELECT ON TABLES TO api;

-- What only a superuser may give; without it, the platform works. pg_trgm: search for characters anywhere in a handle.
-- The functions: gcc-platform doctor finds files that a crash has left below base/; they read no file's content.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
    END IF;
    GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text), pg_catalog.pg_stat_file(text, boolean) TO sync;
    GRANT pg_read_all_stats TO sync;
END
$$;
