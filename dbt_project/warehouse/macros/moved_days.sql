{#- For marts that count entities by day, where a newer version may take one from its day: both days are to be counted
    again, and the old one may be left with nothing. delete_insert deletes only what it has new rows for, so these marts
    append, and forget first. -#}

{#- The days of all versions of the entities that had an event since the mart was last built. -#}
{%- macro moved_days(entities) -%}
    select distinct
        platform,
        arrayJoin(dates) as date
    from {{ entities }}
    where arrived_at >= {{ arrived_since() }}
{%- endmacro -%}

{#- The pre-hook of these marts. A run that is killed after it leaves the days out until the next, which begins with the
    same days: its watermark is recorded at its end only. -#}
{%- macro forget_moved_days(entities) -%}
    {%- if execute and is_incremental() -%}
        delete from {{ this }} where (platform, date) in ({{ moved_days(entities) }})
    {%- endif -%}
{%- endmacro -%}
