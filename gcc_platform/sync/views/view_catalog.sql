-- What replace_view.sql asks the catalogs about views. Names come back quoted and with their schemas.

CREATE OR REPLACE FUNCTION serving.view_label(view oid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT format('%I.%I', nspname, relname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = view
$$;

-- With this search_path every name outside pg_catalog has its schema: the text means the same for every caller.
CREATE OR REPLACE FUNCTION serving.view_query(view oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT rtrim(pg_get_viewdef(view), ';')
$$;

-- The columns that another query lacks or has with another type. `is_removed` is false for the latter.
CREATE OR REPLACE FUNCTION serving.view_changed_columns(view oid, new oid)
RETURNS TABLE (attnum smallint, attname name, is_removed boolean)
LANGUAGE sql STABLE AS $$
    SELECT before.attnum, before.attname, after.attname IS NULL
    FROM pg_attribute AS before
    LEFT JOIN pg_attribute AS after ON after.attrelid = new AND after.attnum > 0 AND after.attname = before.attname
    WHERE before.attrelid = view AND before.attnum > 0
      AND (before.atttypid, before.atttypmod, before.attcollation)
          IS DISTINCT FROM (after.atttypid, after.atttypmod, after.attcollation)
$$;

-- Whether CREATE OR REPLACE VIEW takes the new query: it may only append columns.
CREATE OR REPLACE FUNCTION serving.view_only_grows(view oid, new oid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM pg_attribute AS before
        LEFT JOIN pg_attribute AS after ON after.attrelid = new AND after.attnum = before.attnum
        WHERE before.attrelid = view AND before.attnum > 0
          AND (before.attname, before.atttypid, before.atttypmod, before.attcollation)
              IS DISTINCT FROM (after.attname, after.atttypid, after.atttypmod, after.attcollation)
    )
$$;

-- The view and every view that reads it, in any schema. A view's depth is greater than that of all it reads.
CREATE OR REPLACE FUNCTION serving.view_tree(view oid) RETURNS TABLE (oid oid, depth integer)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE readers AS (
        SELECT view AS oid, 0 AS depth
        UNION
        SELECT readers.ev_class, readers.depth + 1 FROM (
            SELECT pg_rewrite.ev_class, readers.oid, readers.depth FROM readers
            JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = readers.oid
                          AND classid = 'pg_rewrite'::regclass
            JOIN pg_rewrite ON pg_rewrite.oid = objid AND rulename = '_RETURN'
            JOIN pg_class ON pg_class.oid = ev_class AND relkind = 'v'
        ) AS readers WHERE ev_class <> readers.oid AND readers.depth < 100
    )
    SELECT readers.oid, max(readers.depth) FROM readers GROUP BY readers.oid
$$;

-- What depends on the views and would not survive a drop: materialized views, functions, rules, triggers, defaults, ...
CREATE OR REPLACE FUNCTION serving.view_obstacles(views oid[]) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT DISTINCT format('%s depends on %s', CASE
        WHEN rulename = '_RETURN' THEN pg_describe_object('pg_class'::regclass, ev_class, 0)
        ELSE pg_describe_object(classid, objid, objsubid)
    END, serving.view_label(views.oid))
    FROM pg_class AS views
    JOIN pg_type ON pg_type.oid = reltype
    JOIN pg_depend ON (refclassid = 'pg_class'::regclass AND refobjid = views.oid)
                   OR (refclassid = 'pg_type'::regclass AND refobjid IN (pg_type.oid, typarray))
    LEFT JOIN pg_rewrite ON classid = 'pg_rewrite'::regclass AND pg_rewrite.oid = objid
    WHERE views.oid = ANY($1)
      AND (rulename = '_RETURN' AND ev_class = ANY($1)) IS NOT TRUE
      AND NOT (classid = 'pg_type'::regclass AND objid IN (pg_type.oid, typarray))
    UNION ALL
    SELECT format('a security label (%s) is set on %s', provider, serving.view_label(objoid))
    FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = ANY($1)
$$;

-- Whether this session may SET ROLE to a role. PostgreSQL 15 does not know memberships without that right.
CREATE OR REPLACE FUNCTION serving.may_act_as(role oid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT pg_has_role(session_user, role,
        CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)
$$;

-- The GRANTs that make a new view's privileges those of this one: of the view, then of its columns. The order within
-- an acl is that in which the privileges were given, so that a grantor has them before it gives them on. A grant of a
-- role as which this session cannot act becomes one of the owner.
CREATE OR REPLACE FUNCTION serving.view_grants(view oid)
RETURNS TABLE (column_name name, role name, statement text)
LANGUAGE sql STABLE AS $$
    SELECT granted.column_name,
        pg_get_userbyid(CASE WHEN serving.may_act_as(grantor) THEN grantor ELSE relowner END),
        format('GRANT %s ON %s TO %s%s',
            string_agg(privilege_type || coalesce(' (' || quote_ident(granted.column_name) || ')', ''), ', '),
            serving.view_label(view),
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM (
        SELECT NULL::name AS column_name, 0 AS attnum, relowner, coalesce(relacl, acldefault('r', relowner)) AS acl
        FROM pg_class WHERE oid = view
        UNION ALL
        SELECT attname, attnum, relowner, attacl
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE attrelid = view AND attnum > 0 AND attacl IS NOT NULL
    ) AS granted, aclexplode(acl) WITH ORDINALITY AS item (grantor, grantee, privilege_type, is_grantable, place)
    GROUP BY granted.attnum, granted.column_name, relowner, grantor, grantee, is_grantable
    ORDER BY granted.attnum, min(place)
$$;

CREATE OR REPLACE FUNCTION serving.view_comments(view oid) RETURNS TABLE (column_name name, statement text)
LANGUAGE sql STABLE AS $$
    SELECT attname, CASE objsubid
        WHEN 0 THEN format('COMMENT ON VIEW %s IS %L', serving.view_label(view), description)
        ELSE format('COMMENT ON COLUMN %s.%I IS %L', serving.view_label(view), attname, description)
    END
    FROM pg_description
    LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND attnum > 0
    WHERE classoid = 'pg_class'::regclass AND objoid = view
    ORDER BY objsubid
$$;

-- All that is needed to create the view again as it is.
CREATE OR REPLACE FUNCTION serving.view_state(view oid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'schema', nspname,
        'name', relname,
        'label', serving.view_label(view),
        'owner', pg_get_userbyid(relowner),
        'options', coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', ''),
        'query', serving.view_query(view),
        'grants', (SELECT coalesce(jsonb_agg(to_jsonb(given)), '[]') FROM serving.view_grants(view) AS given),
        'comments', (SELECT coalesce(jsonb_agg(to_jsonb(about)), '[]') FROM serving.view_comments(view) AS about)
    )
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = view
$$;
