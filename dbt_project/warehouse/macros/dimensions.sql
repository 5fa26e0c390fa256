{#- A dimension of an event, where it has the type that is meant: anybody may publish anything under its name. -#}
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
