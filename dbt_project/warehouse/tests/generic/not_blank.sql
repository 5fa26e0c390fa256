{#- ClickHouse's String is never NULL by itself: a missing key arrives as ''. -#}
{% test not_blank(model, column_name) %}

    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} = ''

{% endtest %}
