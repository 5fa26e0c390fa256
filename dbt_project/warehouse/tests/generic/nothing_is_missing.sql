{#- Every event that was inserted into a raw table before the model's last run has its row. `keys` are
    expressions over the raw table, `columns` those of the model, by default the same. -#}
{% test nothing_is_missing(model, table, keys, columns=none, touched_by=none, day='date') %}

    select distinct {{ keys | join(', ') }}
    from {{ source('beat', table) }}
    where
        insert_timestamp >= {{ test_new_since() }}
        and insert_timestamp < (
            select max(arrived_until) - toIntervalSecond({{ var('overlap_seconds') }})
            from {{ watermarks() }}
            where model = '{{ model.identifier }}'
        )
        and ({{ keys | join(', ') }}) not in (
            select {{ (columns or keys) | join(', ') }}
            from {{ model }}
            where {{ touched_days(touched_by, day) }}
        )

{% endtest %}
