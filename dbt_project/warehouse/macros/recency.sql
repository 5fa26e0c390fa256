{#- Which of two events is the newer: by event_timestamp, then by event_id. ClickHouse orders UUIDs by their second
    half; as a number they are in the order of their text, and argMax is three times as fast by one number as by a
    tuple. Signed, for events before 1970. -#}
{%- macro recency() -%}
    bitOr(bitShiftLeft(toInt256(toUnixTimestamp64Micro(event_timestamp)), 128), toInt256(toUInt128(event_id)))
{%- endmacro -%}

{#- The newest of a column's values so far, with its recency: an array of none or one. The greater of two is the
    newer, and none is less than any. argMax passes over NULLs, and so does count. -#}
{%- macro newest_of(name) -%}
    if(count({{ name }}) = 0, [], [(maxIf(recency, {{ name }} is not null), argMax({{ name }}, recency))])
{%- endmacro -%}

{#- The type of that, as text within quotes. -#}
{%- macro newest_of_type(type) -%}
    SimpleAggregateFunction(max, Array(Tuple(recency Int256, value Nullable({{ type }}))))
{%- endmacro -%}
