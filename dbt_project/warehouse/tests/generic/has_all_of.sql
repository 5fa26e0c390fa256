{#- Whatever has a row in another model has one here: both have these columns. -#}
{% test has_all_of(model, other, columns) %}

    select distinct {{ columns | join(', ') }}
    from {{ other }}
    where ({{ columns | join(', ') }}) not in (
        select {{ columns | join(', ') }}
        from {{ model }}
    )

{% endtest %}
