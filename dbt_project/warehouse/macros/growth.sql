{#- Metrics are whatever was published: the difference of two that fit into 64 bits may not. -#}
{%- macro growth(later, earlier) -%}
    accurateCastOrNull(toInt128({{ later }}) - toInt128({{ earlier }}), 'Int64')
{%- endmacro -%}

{%- macro growth_rate(later, earlier) -%}
    if({{ earlier }} > 0, (toFloat64({{ later }}) - toFloat64({{ earlier }})) / toFloat64({{ earlier }}), null)
{%- endmacro -%}
