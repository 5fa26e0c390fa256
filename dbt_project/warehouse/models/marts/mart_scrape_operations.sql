-- An event never leaves its hour, so an hour is rewritten from its own events, which are adjacent in the raw
-- table.
{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key=['platform', 'flow', 'hour'],
    engine=merge_tree(),
    settings=block_numbers(),
    order_by=['platform', 'flow', 'hour']
) }}

{% set keys = ['platform', 'flow', "toStartOfHour(event_timestamp, 'UTC')"] %}

with events as (

    select
        *,
        toStartOfHour(event_timestamp, 'UTC') as hour,
        {{ recency(event_id='toUUID(event_id)') }} as recency
    from {{ ref('stg_beat_scrape_request_log') }}
    {% if is_incremental() %}
    where (platform, flow, toStartOfHour(event_timestamp, 'UTC')) in (
        {{ new_events('scrape_request_log_events', keys) }}
    )
    {% endif %}

),

requests as (

    -- A request is PENDING, PROCESSING and COMPLETE within minutes: it counts once, with its newest status.
    select
        platform,
        flow,
        hour,
        scl_id,
        upper({{ newest('status') }}) as newest_status,
        -- The reason is that of a failure.
        {{ newest("if(upper(status) = 'FAILED', reason, null)") }} as failure,
        dateDiff('microsecond', min(event_timestamp), {{ newest('picked_at') }}) as waited,
        count(*) as request_events,
        max(event_timestamp) as last_at
    from events
    group by
        platform,
        flow,
        hour,
        scl_id

),

measured as (

    select
        *,
        -- A request that was picked before its first event of the hour has waited in an earlier hour.
        if(waited >= 0, waited, null) as wait_us,
        if(newest_status = 'FAILED', coalesce(failure, 'unknown'), null) as why
    from requests

),

hours as (

    select
        platform,
        flow,
        hour,
        count(*) as requests,
        countIf(newest_status = 'PENDING') as pending,
        countIf(newest_status = 'PROCESSING') as processing,
        countIf(newest_status = 'COMPLETE') as complete,
        countIf(newest_status = 'FAILED') as failed,
        sum(request_events) as events,
        count(wait_us) as waits,
        -- Microseconds as integers: a sum of floats depends on their order.
        sum(wait_us) as wait_sum_us,
        quantileExact(0.5)(wait_us) as wait_p50_us,  -- noqa: LT01
        quantileExact(0.95)(wait_us) as wait_p95_us,  -- noqa: LT01
        sumMap([assumeNotNull(why)], [toUInt64(why is not null)]) as failures,
        max(last_at) as updated_at
    from measured
    group by
        platform,
        flow,
        hour

),

ranked as (

    select
        *,
        arraySlice(
            arraySort(
                reason -> (-reason.2, reason.1),
                arrayFilter(reason -> reason.2 > 0, arrayZip(failures.1, failures.2))
            ),
            1,
            3
        ) as top_failures
    from hours

),

final as (

    select
        -- keys
        platform,
        flow,
        toDateTime64(hour, 6, 'UTC') as hour,

        -- metrics
        toInt64(requests) as requests,
        toInt64(pending) as pending,
        toInt64(processing) as processing,
        toInt64(complete) as complete,
        toInt64(failed) as failed,
        toInt64(requests - pending - processing - complete - failed) as other,
        if(complete + failed > 0, failed / (complete + failed), null) as failure_rate,
        toInt64(waits) as waits,
        if(waits > 0, wait_sum_us / waits / 1000000, null) as wait_avg_seconds,
        wait_p50_us / 1000000 as wait_p50_seconds,
        wait_p95_us / 1000000 as wait_p95_seconds,

        -- attributes
        arrayStringConcat(
            arrayMap(reason -> concat(reason.1, ' (', toString(reason.2), ')'), top_failures), '; '
        ) as top_reasons,

        -- provenance
        toInt64(events) as events,
        updated_at
    from ranked

)

select * from final
