with events as (

    select
        cast(platform as String) as platform,
        cast(flow as String) as flow,
        event_timestamp,
        toString(event_id) as event_id,
        scl_id,
        params,
        cast(status as String) as status,
        priority,
        reason,
        picked_at,
        expires_at
    from {{ source('beat', 'scrape_request_log_events') }}

),

requests as (

    -- Copies of an event have the same values, so any copy serves: no FINAL is needed.
    select
        -- keys
        platform,
        flow,
        event_timestamp,
        event_id,

        -- attributes
        any(scl_id) as scl_id,
        any(params) as params,
        any(status) as status,
        any(priority) as priority,
        any(reason) as reason,
        any(picked_at) as picked_at,
        any(expires_at) as expires_at
    from events
    group by
        platform,
        flow,
        event_timestamp,
        event_id

)

select * from requests
