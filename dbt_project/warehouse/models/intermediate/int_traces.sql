-- Ordered by day, because the mart reads days; the raw table is sorted by trace, so every granule holds all
-- days. Traces inserted together are of few days, so an index on the insert time finds them without reading
-- the rest.
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'trace_id'],
    engine=merge_tree(),
    order_by=['platform', 'date', 'trace_id'],
    indexes=[{'name': 'arrival', 'definition': 'arrived_at type minmax'}]
) }}

with traces as (

    select * from {{ ref('stg_beat_trace_log') }}
    {% if is_incremental() %}
    where (platform, trace_id) in (
        {{ new_events('trace_log_events', ['platform', 'trace_id']) }}
    )
    {% endif %}

),

final as (

    select
        -- keys
        platform,
        trace_id,

        -- attributes
        toDate(started_at, 'UTC') as date,
        service_name,
        -- Queries make almost every uri distinct, and an index of PostgreSQL refuses long keys.
        leftUTF8(cutQueryStringAndFragment(uri), 255) as uri,
        status_code,

        -- metrics
        duration_ms,

        -- provenance
        dates,
        arrived_at
    from traces

)

select * from final
