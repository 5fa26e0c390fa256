-- Ordered by day, as the mart reads it: the raw table is sorted by trace, and has all days in each place.
-- What arrived together is of few days, so an index finds it without reading the rest.
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
        {{ arrived('trace_log_events', ['platform', 'trace_id']) }}
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
        -- A query makes almost every uri another one, and an index of PostgreSQL takes no long keys.
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
