{#- What the rules for a profile's day and a post's day share: profile_days, post_days. -#}

{#- The values of a day, from with_recency. -#}
{%- macro newest_values(values) -%}
        {%- for name in values %}
        {{ newest(name) }} as {{ name }},
        {%- endfor %}
        max(event_timestamp) as updated_at,
        {{ distinct_events() }} as observations
{%- endmacro -%}

{#- Events with their recency. -#}
{%- macro with_recency(events) -%}
    (
        select
            *,
            {{ recency() }} as recency
        from {{ events }}
    )
{%- endmacro -%}

{#- The type of a set of events, as text within quotes. -#}
{%- macro event_set_type(values) -%}
    {%- set fields = ["event_timestamp DateTime64(6, ''UTC'')", "event_id UUID"] -%}
    {%- for name, type in values.items() -%}
        {%- do fields.append(name ~ " Nullable(" ~ type ~ ")") -%}
    {%- endfor -%}
    {{ return("SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(" ~ fields | join(", ") ~ ")))") }}
{%- endmacro -%}

{#- The fields of an element of such a set, array joined as `event`, as columns. -#}
{%- macro event_set_columns(values) -%}
        {%- for name in ['event_timestamp', 'event_id'] + values | list %}
        tupleElement(event, '{{ name }}') as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro -%}
