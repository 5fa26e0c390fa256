{#- What was published under the name of a count and is none: negative, text, or beyond 64 bits. The models
    take it for unknown, or as it is, and go on. Only arrivals are looked at; an event of each kind is shown.
    -#}
{% test counts_are_counts(model, table, metrics) %}

    select
        metric,
        source,
        count(*) as events,
        any(JSONExtractRaw(metrics, metric)) as example,
        any(event_id) as event
    from {{ source('beat', table) }}
    array join {{ metrics }} as metric
    where
        insert_timestamp >= {{ test_new_since() }}
        and JSONType(metrics, metric) != 'Null'
        and not (
            JSONType(metrics, metric) in ('Int64', 'UInt64', 'Double')
            and coalesce(JSONExtract(metrics, metric, 'Nullable(Int64)') >= 0, false)
        )
    group by
        metric,
        source

{% endtest %}
