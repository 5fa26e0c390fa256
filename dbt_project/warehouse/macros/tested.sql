{#- `dbt build` tests what it has touched: the rest was tested when it came. `dbt test`, and a full refresh, test all. -#}

{#- From which arrival on events are new to the tests: what the model that lags most began this run with. -#}
{%- macro tested_since() -%}
    {%- set since = namespace(text='1970-01-01 00:00:00.000') -%}
    {%- if execute and flags.WHICH != 'test' and not flags.FULL_REFRESH -%}
        {%- set names = graph.nodes.values() | selectattr('config.materialized', 'equalto', 'incremental')
            | map(attribute='name') | list -%}
        {%- set found = run_query(
            "select if(count() < " ~ names | length ~ ", toDateTime64(0, 3, 'UTC'), min(began)) from ("
            ~ " select argMax(if(invocation = '" ~ invocation_id ~ "', arrived_since, arrived_until), arrived_until) as began"
            ~ " from " ~ watermarks() ~ " where model in ('" ~ names | join("', '") ~ "') group by model)"
        ) -%}
        {%- set since.text = found.rows[0][0] -%}
    {%- endif -%}
    toDateTime64('{{ since.text }}', 3, 'UTC') - toIntervalSecond({{ var('overlap_seconds') }})
{%- endmacro -%}

{#- The condition of the days that new arrivals of a raw table have touched, and of all later ones; none without a table.
    A range and not a set: ClickHouse skips by it the weeks before. -#}
{%- macro touched_days(table, column='date') -%}
    {%- if table -%}
        {{ column }} >= (
            select minOrNull(toDate(event_timestamp, 'UTC'))
            from {{ source('beat', table) }}
            where insert_timestamp >= {{ tested_since() }}
        )
    {%- else -%}
        1
    {%- endif -%}
{%- endmacro -%}
