{#- One row per combination of these columns: the model's grain. dbt_utils has this test; ours can be limited
    to the days that new events touched: `touched_by` is their raw table, `day` the model's column of the day.
    A String column of ClickHouse is never NULL: a missing key is '', which `not_blank` forbids. -#}
{% test unique_combination_of_columns(
    model, combination_of_columns, not_blank=[], touched_by=none, day='date'
) %}

    select
        {{ combination_of_columns | join(', ') }},
        count(*) as occurrences
    from {{ model }}
    where {{ touched_days(touched_by, day) }}
    group by {{ combination_of_columns | join(', ') }}
    having count(*) > 1{% for column in not_blank %} or {{ column }} = ''{% endfor %}

{% endtest %}
