with versions as (

    select
        cast(platform as String) as platform,
        trace_id,
        cast(source as String) as source,
        cast(host_name as String) as host_name,
        cast(service_name as String) as service_name,
        cast(method as String) as method,
        uri,
        status_code,
        duration_ms,
        started_at,
        toDate(started_at, 'UTC') as date,
        event_timestamp,
        event_id,
        insert_timestamp,
        {{ recency() }} as recency
    from {{ source('beat', 'trace_log_events') }}

),

newest as (

    select
        -- keys
        platform,
        trace_id,

        -- attributes
        {{ newest('source') }} as source,
        {{ newest('host_name') }} as host_name,
        {{ newest('service_name') }} as service_name,
        {{ newest('method') }} as method,
        {{ newest('uri') }} as uri,
        toInt64({{ newest('status_code') }}) as status_code,
        {{ newest('started_at') }} as started_at,

        -- metrics
        {{ newest('duration_ms') }} as duration_ms,

        -- provenance
        arraySort(groupUniqArray(date)) as dates,
        max(event_timestamp) as updated_at,
        {{ distinct_events() }} as versions,
        max(insert_timestamp) as arrived_at
    from versions
    group by
        platform,
        trace_id

)

select * from newest
