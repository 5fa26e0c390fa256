{#- Every value is one of a range, ends included; null leaves an end open. NULL passes. -#}
{% test within(model, limits, touched_by=none, day='date') %}

{%- set outside = [] -%}
{%- for column, (least, most) in limits.items() -%}
{%- do outside.append(column ~ ' < ' ~ least) if least is not none -%}
{%- do outside.append(column ~ ' > ' ~ most) if most is not none -%}
{%- endfor %}

    select {{ limits | join(', ') }}
    from {{ model }}
    where {{ touched_days(touched_by, day) }} and ({{ outside | join(' or ') }})

{% endtest %}
