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

{#- The values of a profile event: types by name. -#}
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

{#- How a profile event is read from the raw table, for the staging view, the history and the newest states alike. A
    value that is not a dimension is a column: by name, because the metrics are MATERIALIZED there, and an asterisk omits
    those. -#}
{%- macro profile_event_columns(values, handle='handle') -%}
    {%- set expressions = {
        'handle': handle,
        'category': dimension_text('category'),
        'country': dimension_text('country'),
        'is_verified': dimension_flag('is_verified'),
        'bio': dimension_text('bio'),
    } -%}
    {%- set columns = ['cast(platform as String) as platform', 'profile_id', 'event_timestamp', 'event_id'] -%}
    {%- for name in values -%}
        {%- set expression = expressions.get(name, name) -%}
        {%- do columns.append(name if expression == name else expression ~ ' as ' ~ name) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro -%}

{#- The type of the set of events in int_profile_history, as text within quotes. -#}
{%- macro profile_event_set_type() -%}
    {{ return(event_set_type(profile_values())) }}
{%- endmacro -%}

{#- The values that int_profile_newest_states keeps of a profile. -#}
{%- macro newest_profile_values() -%}
    {{ return([
        'handle', 'category', 'country', 'is_verified', 'bio',
        'followers', 'subscribers', 'following', 'posts', 'videos', 'views'
    ]) }}
{%- endmacro -%}
