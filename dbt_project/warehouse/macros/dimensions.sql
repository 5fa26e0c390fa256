{#- A dimension of an event, if it has the expected type: publishers may send any JSON under its name. -#}
{%- macro dimension_text(name) -%}
    if(
        JSONType(dimensions, '{{ name }}') = 'String',
        nullIf(JSONExtract(dimensions, '{{ name }}', 'Nullable(String)'), ''),
        null
    )
{%- endmacro -%}

{%- macro dimension_flag(name) -%}
    if(JSONType(dimensions, '{{ name }}') = 'Bool', toNullable(toInt64(JSONExtractBool(dimensions, '{{ name }}'))), null)
{%- endmacro -%}
