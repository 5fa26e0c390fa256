{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ delete_moved_days(ref('int_traces')) }}",
    engine=merge_tree(),
    settings=block_numbers(),
    order_by=['platform', 'date', 'service_name', 'uri']
) }}

with traces as (

    select
        *,
        -- A negative duration is unknown; quantileExact, count and max skip NULLs.
        if(duration_ms >= 0, duration_ms, null) as measured_ms,
        status_code >= 400 or status_code < 100 as is_error
    from {{ ref('int_traces') }}
    {% if is_incremental() %}
    where (platform, date) in ({{ moved_days(ref('int_traces')) }})
    {% endif %}

),

days as (

    select
        platform,
        service_name,
        uri,
        date,
        count(*) as traces,
        countIf(is_error) as errors,
        count(measured_ms) as measured,
        quantileExact(0.5)(measured_ms) as p50_ms,  -- noqa: LT01
        quantileExact(0.95)(measured_ms) as p95_ms,  -- noqa: LT01
        quantileExact(0.99)(measured_ms) as p99_ms,  -- noqa: LT01
        max(measured_ms) as max_ms
    from traces
    group by
        platform,
        service_name,
        uri,
        date

),

final as (

    select
        -- keys
        platform,
        service_name,
        uri,
        date,

        -- metrics
        toInt64(traces) as traces,
        toInt64(errors) as errors,
        errors / traces as error_rate,
        toInt64(measured) as measured,
        p50_ms,
        p95_ms,
        p99_ms,
        max_ms
    from days

)

select * from final
