{#- One rule for a post's day, wherever its events are read from. -#}
{%- macro post_days(events) -%}
    select
        platform,
        profile_id,
        shortcode,
        toDate(event_timestamp, 'UTC') as date,
        {{- newest_values(post_values()) }}
    from {{ with_recency(events) }}
    group by
        platform,
        profile_id,
        shortcode,
        date
{%- endmacro -%}

{#- The values of a post event: types by name. -#}
{%- macro post_values() -%}
    {%- set types = {'handle': 'String', 'publish_time': "DateTime64(6, ''UTC'')"} -%}
    {%- for name in ['views', 'likes', 'dislikes', 'comments', 'shares', 'saves', 'plays', 'reach', 'impressions'] -%}
        {%- do types.update({name: 'Int64'}) -%}
    {%- endfor -%}
    {%- do types.update({'engagement': 'Float64'}) -%}
    {{ return(types) }}
{%- endmacro -%}

{#- How a post event is read from the raw table, for the staging view and the history alike. Columns by name, because
    the metrics are MATERIALIZED there, and an asterisk omits those. -#}
{%- macro post_event_columns() -%}
    {%- set keys = ['cast(platform as String) as platform', 'profile_id', 'shortcode'] -%}
    {{ return(keys + ['event_timestamp', 'event_id'] + post_values() | list) }}
{%- endmacro -%}

{#- The type of the set of events in int_post_history, as text within quotes. -#}
{%- macro post_event_set_type() -%}
    {{ return(event_set_type(post_values())) }}
{%- endmacro -%}
