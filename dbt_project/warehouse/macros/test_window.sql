{#- `dbt build` tests the rows that new events touched: earlier rows were tested by earlier runs. `dbt test`, and a full
    refresh, test everything. -#}

{#- The insert time from which on events are new to the tests: the least that any model's current run began with. -#}
{%- macro test_new_since() -%}
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

{#- A condition on days: those that new events of a raw table touched, and all later ones; all days without a table.
    A range and not a set, by which ClickHouse skips the earlier weeks. -#}
{%- macro touched_days(table, column='date') -%}
    {%- if table -%}
        {{ column }} >= (
            select minOrNull(toDate(event_timestamp, 'UTC'))
            from {{ source('beat', table) }}
            where insert_timestamp >= {{ test_new_since() }}
        )
    {%- else -%}
        1
    {%- endif -%}
{%- endmacro -%}
