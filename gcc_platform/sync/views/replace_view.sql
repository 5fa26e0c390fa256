-- Replaces a view while it is read, with everything that others have made of it: views over it, grants, comments,
-- options. The sync calls it for `serving`, dbt's view materialization for `api`. It acts with the caller's rights, and
-- as the owner of a view where it creates that view again.
--
-- replace_view.py creates these functions. A change of arguments needs a DROP FUNCTION IF EXISTS of the old ones here.

CREATE OR REPLACE FUNCTION serving.execute_as(role name, statement text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    caller text := current_setting('role');
BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE statement;
    PERFORM set_config('role', caller, true);
END
$$;

-- LOCK TABLE would lock the tables that the view reads, too. To give a view to the owner that it has changes nothing.
CREATE OR REPLACE FUNCTION serving.lock_view(view oid, deadline timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    owner name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = view);
    milliseconds integer := floor(extract(epoch FROM deadline - clock_timestamp()) * 1000);
BEGIN
    IF milliseconds < 1 THEN
        RAISE lock_not_available;
    END IF;
    PERFORM set_config('lock_timeout', milliseconds::text, true);
    PERFORM serving.execute_as(owner, format('ALTER VIEW %s OWNER TO %I', serving.view_label(view), owner));
END
$$;

-- Create a dropped view as it was: as its owner, with no privileges but those that it had. Of a column that it no
-- longer has, grants and comment end. Readers wait for this: comments, of which there are many, are one statement.
CREATE OR REPLACE FUNCTION serving.restore_view(state jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    label text := state ->> 'label';
    owner name := state ->> 'owner';
    schema_name name := state ->> 'schema';
    view_name name := state ->> 'name';
    view oid;
    columns name[];
    given record;
BEGIN
    PERFORM serving.execute_as(owner, format('CREATE VIEW %s %s AS %s', label, state ->> 'options', state ->> 'query'));
    view := (SELECT pg_class.oid FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
             WHERE nspname = schema_name AND relname = view_name);
    columns := ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = view AND attnum > 0);
    PERFORM serving.execute_as(owner, format('REVOKE ALL ON %s FROM %s', label, string_agg(DISTINCT
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, ', ')))
    FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE pg_class.oid = view;
    FOR given IN
        SELECT * FROM jsonb_to_recordset(state -> 'grants') AS saved (column_name name, role name, statement text)
        WHERE column_name IS NULL OR column_name = ANY(columns)
    LOOP
        PERFORM serving.execute_as(given.role, given.statement);
    END LOOP;
    PERFORM serving.execute_as(owner, coalesce(string_agg(statement, '; '), ''))
    FROM jsonb_to_recordset(state -> 'comments') AS saved (column_name name, statement text)
    WHERE column_name IS NULL OR column_name = ANY(columns);
END
$$;

-- Drop the view and all views over it, and create them again. The outermost is locked first, as a query locks it
-- before those that it reads.
CREATE OR REPLACE FUNCTION serving.recreate_view(target oid, new oid, lock_milliseconds integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    views oid[] := ARRAY(SELECT oid FROM serving.view_tree(target) ORDER BY depth DESC, oid);
    label text := serving.view_label(target);
    deadline timestamptz;
    states jsonb[];
    state jsonb;
BEGIN
    PERFORM serving.refuse_lost_views(target, new, views);
    deadline := clock_timestamp() + make_interval(secs => lock_milliseconds / 1000.0);
    FOR place IN 1 .. cardinality(views) LOOP
        PERFORM serving.lock_view(views[place], deadline);
    END LOOP;
    IF views <> ARRAY(SELECT oid FROM serving.view_tree(target) ORDER BY depth DESC, oid) THEN
        RAISE lock_not_available;  -- somebody has created or dropped one meanwhile
    END IF;
    states := ARRAY(SELECT serving.view_state(oid) FROM unnest(views) WITH ORDINALITY AS tree (oid, place)
                    ORDER BY place);
    states[cardinality(states)] := states[cardinality(states)]
        || jsonb_build_object('query', serving.view_query(new));
    FOREACH state IN ARRAY states LOOP
        PERFORM serving.execute_as((state ->> 'owner')::name, format('DROP VIEW %s', state ->> 'label'));
    END LOOP;
    FOR place IN REVERSE cardinality(states) .. 1 LOOP
        BEGIN
            PERFORM serving.restore_view(states[place]);
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected THEN
                RAISE;
            WHEN OTHERS THEN
                PERFORM serving.refuse_to_replace(label, format('%s cannot be created again with the new columns: %s',
                    states[place] ->> 'label', sqlerrm), format('Change or drop %s first.', states[place] ->> 'label'));
        END;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION serving.replace_view_in_place(target oid, new oid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    state jsonb := serving.view_state(target);
    owner name := state ->> 'owner';
    -- Options that are not repeated would be reset.
    statement text := format('CREATE OR REPLACE VIEW %s %s AS %s',
        state ->> 'label', state ->> 'options', serving.view_query(new));
BEGIN
    IF pg_has_role(current_user, owner, 'USAGE') THEN
        EXECUTE statement;
    ELSIF serving.may_act_as(owner::regrole) THEN
        PERFORM serving.execute_as(owner, statement);
    ELSE
        PERFORM serving.refuse_to_replace(state ->> 'label', format('it belongs to %I, as whom %I may not act',
            owner, session_user), serving.way_to_act_as(owner, state ->> 'label'));
    END IF;
END
$$;

-- One attempt. Raises lock_not_available if readers would have to wait for longer. The names in the query are looked up
-- as the caller looks them up: a temporary view has its definition, to compare, and its columns.
CREATE OR REPLACE FUNCTION serving.try_to_replace_view(
    schema_name text, view_name text, query text, lock_milliseconds integer
) RETURNS text
LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    target oid;
    kind "char";
    new oid;
    outcome text;
BEGIN
    PERFORM set_config('lock_timeout', lock_milliseconds::text, true);
    EXECUTE 'CREATE TEMPORARY VIEW replace_view_trial AS ' || query;
    new := to_regclass('pg_temp.replace_view_trial');
    SELECT pg_class.oid, relkind INTO target, kind FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = schema_name AND relname = view_name;
    IF target IS NULL THEN
        EXECUTE format('CREATE VIEW %I.%I AS %s', schema_name, view_name, serving.view_query(new));
        outcome := 'created';
    ELSIF kind <> 'v' THEN
        PERFORM serving.refuse_to_replace(serving.view_label(target), 'it is not a view', 'Rename or drop it.');
    ELSIF serving.view_query(target) = serving.view_query(new) THEN
        outcome := 'unchanged';
    ELSIF serving.view_only_grows(target, new) THEN
        PERFORM serving.replace_view_in_place(target, new);
        outcome := 'replaced';
    ELSE
        PERFORM serving.recreate_view(target, new, lock_milliseconds);
        outcome := 'recreated';
    END IF;
    DROP VIEW pg_temp.replace_view_trial;
    RETURN outcome;
END
$$;

-- An attempt makes readers wait for `lock_milliseconds` at most, and holds no lock once it has failed. The pauses are
-- random, or all attempts might fall between the same ends of readers' transactions.
CREATE OR REPLACE FUNCTION serving.replace_view(
    schema_name text,
    view_name text,
    query text,
    most_attempts integer DEFAULT 200,
    lock_milliseconds integer DEFAULT 100,
    pause_seconds double precision DEFAULT 0.2,
    OUT outcome text,
    OUT attempts integer
)
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'replace_view needs READ COMMITTED: an older snapshot lacks the views that others have created';
    END IF;
    FOR attempt IN 1 .. most_attempts LOOP
        BEGIN
            outcome := serving.try_to_replace_view(schema_name, view_name, query, lock_milliseconds);
            attempts := attempt;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            NULL;  -- the block is rolled back, and its locks are released
        END;
        PERFORM pg_sleep(pause_seconds * (0.5 + random()));
    END LOOP;
    RAISE EXCEPTION '%.% was locked at each of % attempts, and serves what it served',
        schema_name, view_name, most_attempts
        USING ERRCODE = 'lock_not_available', HINT = 'Look for a long transaction in pg_stat_activity (xact_start).';
END
$$;
