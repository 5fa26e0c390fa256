{#- One row per combination of these columns: the model's grain. `final` is for a table whose engine
    makes it so when it merges: it is tested as if it had. -#}
{% test unique_combination(model, columns, final=false) %}

    select
        {{ columns | join(', ') }},
        count(*) as occurrences
    from {{ model }}{{ ' final' if final }}
    group by {{ columns | join(', ') }}
    having count(*) > 1

{% endtest %}
