{#- A column counts every row of another model, once. -#}
{% test counts_all_of(model, column, other) %}

    select
        counted,
        there
    from (
        select
            (select sum({{ column }}) from {{ model }}) as counted,
            (select count(*) from {{ other }}) as there
    )
    where counted != there

{% endtest %}
