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
        -- ClickHouse orders UUIDs by their second half. As text, anybody can check which one wins a tie.
        (event_timestamp, toString(event_id)) as recency
    from {{ source('beat', 'trace_log_events') }}

),

newest as (

    -- Copies of an event have the same recency and values: argMax is blind to them, uniqExact counts one.
    select
        -- keys
        platform,
        trace_id,

        -- attributes
        argMax(source, recency) as source,
        argMax(host_name, recency) as host_name,
        argMax(service_name, recency) as service_name,
        argMax(method, recency) as method,
        argMax(uri, recency) as uri,
        toInt64(argMax(status_code, recency)) as status_code,
        argMax(started_at, recency) as started_at,

        -- metrics
        argMax(duration_ms, recency) as duration_ms,

        -- provenance
        arraySort(groupUniqArray(date)) as dates,
        max(event_timestamp) as updated_at,
        toInt64(uniqExact(event_id)) as versions,
        max(insert_timestamp) as arrived_at
    from versions
    group by
        platform,
        trace_id

)

select * from newest
