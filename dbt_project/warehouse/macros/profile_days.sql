{#- One rule for a profile's day, wherever its events are read from. -#}
{%- macro profile_days(events) -%}
    select
        platform,
        profile_id,
        toDate(event_timestamp, 'UTC') as date,
        {{- newest_values(profile_values()) }}
    from {{ with_recency(events) }}
    group by
        platform,
        profile_id,
        date
{%- endmacro -%}

{#- What an event says of a profile, by name. -#}
{%- macro profile_values() -%}
    {%- set types = {'handle': 'String', 'category': 'String', 'country': 'String', 'is_verified': 'Int64'} -%}
    {%- for name in ['followers', 'following', 'posts', 'subscribers', 'views', 'videos', 'reach'] -%}
        {%- do types.update({name: 'Int64'}) -%}
    {%- endfor -%}
    {%- for name in ['avg_likes', 'avg_comments', 'avg_views'] -%}
        {%- do types.update({name: 'Float64'}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro -%}

{#- The set of events in int_profile_history, as text within quotes. -#}
{%- macro profile_events_type() -%}
    {{ return(events_type(profile_values())) }}
{%- endmacro -%}

{#- What int_profile_newest_states keeps of a profile, by name. -#}
{%- macro newest_profile_values() -%}
    {{ return([
        'handle', 'category', 'country', 'is_verified', 'bio',
        'followers', 'subscribers', 'following', 'posts', 'videos', 'views'
    ]) }}
{%- endmacro -%}
