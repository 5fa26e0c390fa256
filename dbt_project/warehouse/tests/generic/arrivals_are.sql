{#- Every new event of a raw table satisfies a rule, an expression over its columns. -#}
{% test arrivals_are(model, table, rule) %}

    select
        event_id,
        event_timestamp
    from {{ source('beat', table) }}
    where
        insert_timestamp >= {{ test_new_since() }}
        and not ({{ rule }})

{% endtest %}
