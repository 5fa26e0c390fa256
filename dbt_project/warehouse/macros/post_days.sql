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

{#- What an event says of a post, by name. -#}
{%- macro post_values() -%}
    {%- set types = {'handle': 'String', 'publish_time': "DateTime64(6, ''UTC'')"} -%}
    {%- for name in ['views', 'likes', 'dislikes', 'comments', 'shares', 'saves', 'plays', 'reach', 'impressions'] -%}
        {%- do types.update({name: 'Int64'}) -%}
    {%- endfor -%}
    {%- do types.update({'engagement': 'Float64'}) -%}
    {{ return(types) }}
{%- endmacro -%}

{#- The set of events in int_post_history, as text within quotes. -#}
{%- macro post_events_type() -%}
    {{ return(events_type(post_values())) }}
{%- endmacro -%}
