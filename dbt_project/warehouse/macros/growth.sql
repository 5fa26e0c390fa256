{#- Metrics may be any number that was published: the difference of two 64-bit numbers may not fit into 64 bits. -#}
{%- macro growth(later, earlier) -%}
    accurateCastOrNull(toInt128({{ later }}) - toInt128({{ earlier }}), 'Int64')
{%- endmacro -%}

{%- macro growth_rate(later, earlier) -%}
    if({{ earlier }} > 0, (toFloat64({{ later }}) - toFloat64({{ earlier }})) / toFloat64({{ earlier }}), null)
{%- endmacro -%}
