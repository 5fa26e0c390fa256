{#- One row per combination of these columns: the model's grain. ClickHouse's String is never NULL by
    itself: a missing key arrives as ''. `touched_by` is the raw table whose arrivals say which days are looked at. -#}
{% test unique_combination(model, columns, not_blank=[], touched_by=none) %}

    select
        {{ columns | join(', ') }},
        count(*) as occurrences
    from {{ model }}
    where {{ touched_days(touched_by) }}
    group by {{ columns | join(', ') }}
    having count(*) > 1{% for column in not_blank %} or {{ column }} = ''{% endfor %}

{% endtest %}
