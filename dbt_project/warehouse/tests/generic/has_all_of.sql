{#- Every combination of these columns in another model has a row in this one. -#}
{% test has_all_of(model, other, columns) %}

    select distinct {{ columns | join(', ') }}
    from {{ other }}
    where ({{ columns | join(', ') }}) not in (
        select {{ columns | join(', ') }}
        from {{ model }}
    )

{% endtest %}
