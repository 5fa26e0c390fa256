{#- One rule for a profile's day, wherever its events are read from. -#}
{%- macro profile_days(events) -%}
    {#- argMax passes over NULLs: each value is the newest of the day, whichever event had it. Copies of an event
        have the same recency and values, so argMax and max are blind to them, and uniqExact counts them once. -#}
    select
        platform,
        profile_id,
        toDate(event_timestamp, 'UTC') as date,
        {%- for name in profile_values() %}
        argMax({{ name }}, recency) as {{ name }},
        {%- endfor %}
        max(event_timestamp) as updated_at,
        toInt64(uniqExact(event_id)) as observations
    from (
        select
            *,
            {{ profile_recency() }} as recency
        from {{ events }}
    )
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
    {%- set fields = ["event_timestamp DateTime64(6, ''UTC'')", "event_id UUID"] -%}
    {%- for name, type in profile_values().items() -%}
        {%- do fields.append(name ~ " Nullable(" ~ type ~ ")") -%}
    {%- endfor -%}
    {{ return("SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(" ~ fields | join(", ") ~ ")))") }}
{%- endmacro -%}

{#- Which of two events is the newer: by event_timestamp, then by event_id. ClickHouse orders UUIDs by their second half;
    as a number they are in the order of their text, and argMax is three times as fast by one number as by a tuple. -#}
{%- macro profile_recency() -%}
    bitOr(bitShiftLeft(toInt256(toUnixTimestamp64Micro(event_timestamp)), 128), toInt256(toUInt128(event_id)))
{%- endmacro -%}

{#- The newest of a column's values so far, with its recency: an array of none or one. The greater of two is the newer, and
    none is less than any. argMax passes over NULLs, and so does count. -#}
{%- macro newest_of(name) -%}
    if(count({{ name }}) = 0, [], [(maxIf(recency, {{ name }} is not null), argMax({{ name }}, recency))])
{%- endmacro -%}

{#- The type of that, as text within quotes. -#}
{%- macro newest_of_type(type) -%}
    SimpleAggregateFunction(max, Array(Tuple(recency Int256, value Nullable({{ type }}))))
{%- endmacro -%}
