{#- For marts that count entities by day, where a newer version may move one to another day: both days are counted again,
    and the old one may have no entity left. delete_insert deletes only what it has new rows for, so these marts append,
    and delete first. -#}

{#- The days of all versions of the entities that had an event since the mart's last run. -#}
{%- macro moved_days(entities) -%}
    select distinct
        platform,
        arrayJoin(dates) as date
    from {{ entities }}
    where arrived_at >= {{ new_since() }}
{%- endmacro -%}

{#- The pre-hook of these marts. If the run is killed after it, these days are missing until the next run, which begins
    with the same days: the watermark is recorded at the end of a run only. Nothing where no day has moved: a DELETE that
    deletes nothing is a mutation all the same, which renames every part. -#}
{%- macro delete_moved_days(entities) -%}
    {%- if execute and is_incremental() and run_query(moved_days(entities) ~ " limit 1").rows | length -%}
        delete from {{ this }} where (platform, date) in ({{ moved_days(entities) }})
    {%- endif -%}
{%- endmacro -%}
