{#- Every value of a column is within a range; NULL passes. dbt_utils has this test; ours can be limited to
    the days that new events touched: `touched_by` is their raw table, `day` the model's column of the day.
    -#}
{% test accepted_range(
    model, column_name, min_value=none, max_value=none, inclusive=true, touched_by=none, day='date'
) %}

{%- set or_equal = '' if inclusive else '=' -%}
{%- set outside = [] -%}
{%- do outside.append(column_name ~ ' <' ~ or_equal ~ ' ' ~ min_value) if min_value is not none -%}
{%- do outside.append(column_name ~ ' >' ~ or_equal ~ ' ' ~ max_value) if max_value is not none %}

    select {{ column_name }}
    from {{ model }}
    where {{ touched_days(touched_by, day) }} and ({{ outside | join(' or ') }})

{% endtest %}
