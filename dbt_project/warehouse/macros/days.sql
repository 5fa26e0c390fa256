{#- What the rules of a profile's day and of a post's have in common: profile_days, post_days. -#}

{#- The values of a day, out of with_recency. argMax passes over NULLs: each is the newest of the day, whichever event
    had it. Copies of an event have the same recency and values, so argMax and max are blind to them, and uniqExact
    counts them once. -#}
{%- macro newest_values(values) -%}
        {%- for name in values %}
        argMax({{ name }}, recency) as {{ name }},
        {%- endfor %}
        max(event_timestamp) as updated_at,
        toInt64(uniqExact(event_id)) as observations
{%- endmacro -%}

{#- Events with what orders them. -#}
{%- macro with_recency(events) -%}
    (
        select
            *,
            {{ recency() }} as recency
        from {{ events }}
    )
{%- endmacro -%}

{#- The type of a set of events, as text within quotes. -#}
{%- macro events_type(values) -%}
    {%- set fields = ["event_timestamp DateTime64(6, ''UTC'')", "event_id UUID"] -%}
    {%- for name, type in values.items() -%}
        {%- do fields.append(name ~ " Nullable(" ~ type ~ ")") -%}
    {%- endfor -%}
    {{ return("SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(" ~ fields | join(", ") ~ ")))") }}
{%- endmacro -%}

{#- What such a set holds, as columns, where it is array joined as `event`. -#}
{%- macro event_columns(values) -%}
        {%- for name in ['event_timestamp', 'event_id'] + values | list %}
        tupleElement(event, '{{ name }}') as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro -%}
