{#- Values of counts that are not counts: negative, text, or beyond 64 bits. The models treat them as unknown,
    or use them as they are, and do not fail. Reads new events only, and returns an example of each metric and
    source. -#}
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
