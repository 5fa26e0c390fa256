{#- One row per combination of these columns: the model's grain. ClickHouse's String is never NULL by
    itself: a missing key arrives as ''. `touched_by` is the raw table whose arrivals say which days are looked at,
    and `day` the model's column of them. -#}
{% test unique_combination(model, columns, not_blank=[], touched_by=none, day='date') %}

    select
        {{ columns | join(', ') }},
        count(*) as occurrences
    from {{ model }}
    where {{ touched_days(touched_by, day) }}
    group by {{ columns | join(', ') }}
    having count(*) > 1{% for column in not_blank %} or {{ column }} = ''{% endfor %}

{% endtest %}
