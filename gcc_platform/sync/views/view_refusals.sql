-- What replace_view.sql refuses, because something that depends on the view would be lost. The messages name a way out.

CREATE OR REPLACE FUNCTION serving.refuse_to_replace(view text, reason text, way_out text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is not replaced, and serves what it served: %', view, reason
        USING ERRCODE = 'dependent_objects_still_exist', HINT = way_out;
END
$$;

-- Nobody but a superuser should act as one: its view gets another owner.
CREATE OR REPLACE FUNCTION serving.way_to_act_as(owner name, view text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN rolsuper THEN
            format('ALTER VIEW %s OWNER TO a role that %I may act as, or drop the view.', view, session_user)
        WHEN current_setting('server_version_num')::integer < 160000 THEN format('GRANT %I TO %I.', owner, session_user)
        ELSE format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE.', owner, session_user)
    END FROM pg_roles WHERE rolname = owner
$$;

CREATE OR REPLACE FUNCTION serving.view_change(target oid, new oid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE count(*) WHEN 0 THEN 'its columns change places'
        ELSE format('of its columns %s are removed or retyped', string_agg(quote_ident(attname), ', ' ORDER BY attnum))
    END FROM serving.view_changed_columns(target, new)
$$;

-- Refuse if it is known, before anything is locked, that the views cannot be created again.
CREATE OR REPLACE FUNCTION serving.refuse_lost_views(target oid, new oid, views oid[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    label text := serving.view_label(target);
    change text := serving.view_change(target, new);
    found record;
BEGIN
    FOR found IN SELECT obstacle FROM serving.view_obstacles(views) AS obstacle LOOP
        PERFORM serving.refuse_to_replace(label, format('%s, and %s', change, found.obstacle),
            'Drop that object, and create it again when the view has been replaced.');
    END LOOP;
    FOR found IN
        SELECT serving.view_label(oid) AS view, pg_get_userbyid(relowner) AS owner
        FROM pg_class WHERE oid = ANY(views) AND NOT serving.may_act_as(relowner)
    LOOP
        PERFORM serving.refuse_to_replace(label, format(
            '%s, and %s must be created again as %I, as whom %I may not act',
            change, found.view, found.owner, session_user), serving.way_to_act_as(found.owner, found.view));
    END LOOP;
    FOR found IN
        SELECT serving.view_label(ev_class) AS view, string_agg(DISTINCT quote_ident(attname), ', ') AS columns
        FROM serving.view_changed_columns(target, new) AS gone
        JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = target AND refobjsubid = gone.attnum
                      AND classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite ON pg_rewrite.oid = objid AND ev_class <> target
        WHERE gone.is_removed GROUP BY ev_class
    LOOP
        PERFORM serving.refuse_to_replace(label, format('%s, and %s reads %s', change, found.view, found.columns),
            format('Change or drop %s first. If it is a view of dbt_project/serving: remove the columns there, then '
                   'gcc-platform dbt serving build.', found.view));
    END LOOP;
END
$$;
