{#- Which of two events is the newer: by event_timestamp, then by event_id in the order of its text, which is easy to
    check; ClickHouse itself orders UUIDs by their second half. As a number a UUID is in the order of its text, and
    argMax is three times as fast by one number as by a tuple. Signed, for events before 1970. `clock` is a column that
    decides before these two. -#}
{%- macro recency(clock=none, event_id='event_id') -%}
    {%- set of_event -%}
    bitOr(bitShiftLeft(toInt256(toUnixTimestamp64Micro(event_timestamp)), 128), toInt256(toUInt128({{ event_id }})))
    {%- endset -%}
    {{ '(' ~ clock ~ ', ' ~ of_event ~ ')' if clock else of_event }}
{%- endmacro -%}

{#- Copies of an event have the same recency and the same values, so neither argMax nor max depends on how many there
    are: no FINAL is needed. argMax skips NULLs: a newer event that does not know a value does not remove it. -#}
{%- macro newest(column) -%}
    argMax({{ column }}, recency)
{%- endmacro -%}

{#- Copies of an event count once, without FINAL. -#}
{%- macro distinct_events() -%}
    toInt64(uniqExact(event_id))
{%- endmacro -%}

{#- The state from which `newest` of a column can be continued: an array of at most one tuple. Of two such arrays the
    greater holds the newer value, and an empty one is less than any other. argMax skips NULLs, and so does count. -#}
{%- macro newest_state(column) -%}
    if(count({{ column }}) = 0, [], [(maxIf(recency, {{ column }} is not null), {{ newest(column) }})])
{%- endmacro -%}

{#- The type of that state, as text within quotes. -#}
{%- macro newest_state_type(type) -%}
    SimpleAggregateFunction(max, Array(Tuple(recency Int256, value Nullable({{ type }}))))
{%- endmacro -%}
