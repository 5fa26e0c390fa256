{#- The insert time up to which each incremental model has processed all events. A model's own rows cannot show it: a run
    that is killed while it inserts has written some of them. -#}
{%- macro watermarks() -%}
    {{ return(api.Relation.create(schema=target.schema, identifier='refresh_watermarks')) }}
{%- endmacro -%}

{%- macro create_watermarks() -%}
    create table if not exists {{ watermarks() }} {{ on_cluster_clause(watermarks()) }}
    (
        model String comment 'The incremental model.',
        arrived_since DateTime64(3, 'UTC') comment 'The watermark its last run began with; tests read the events inserted since.',
        arrived_until DateTime64(3, 'UTC') comment 'Events inserted before this are in the model.',
        invocation String comment 'The dbt invocation that recorded this.'
    )
    engine = {{ merge_tree('Replacing', 'arrived_until') }}
    order by model
    comment 'The insert time up to which each incremental model has processed all events; its next run begins there.'
{%- endmacro -%}

{#- A table created by an earlier release lacks arrived_since. -#}
{%- macro upgrade_watermarks() -%}
    alter table {{ watermarks() }} {{ on_cluster_clause(watermarks()) }}
    add column if not exists arrived_since DateTime64(3, 'UTC')
        comment 'The watermark its last run began with; tests read the events inserted since.' after model
{%- endmacro -%}

{#- When each invocation began, by ClickHouse's clock, which also sets the insert time of events. dbt may run on another
    host, whose clock may be ahead. -#}
{%- macro refresh_runs() -%}
    {{ return(api.Relation.create(schema=target.schema, identifier='refresh_runs')) }}
{%- endmacro -%}

{%- macro create_refresh_runs() -%}
    create table if not exists {{ refresh_runs() }} {{ on_cluster_clause(refresh_runs()) }}
    (
        invocation String comment 'The dbt invocation.',
        began_at DateTime64(3, 'UTC') comment 'Before any of its models read.'
    )
    engine = {{ merge_tree() }}
    order by invocation
    ttl toDateTime(began_at) + interval 30 day
    comment 'When each dbt invocation began, by the clock of ClickHouse.'
{%- endmacro -%}

{%- macro record_run() -%}
    insert into {{ refresh_runs() }} (invocation, began_at) select '{{ invocation_id }}', now64(3)
{%- endmacro -%}

{#- A watermark later than now was recorded by a clock that was ahead, or ClickHouse's clock has been set back since. Which
    events were inserted in between is unknown, so the model processes all events again. -#}
{%- macro drop_future_watermarks() -%}
    {%- if execute -%}
        {%- set ahead = "arrived_until > now64(3) + toIntervalMinute(1)" -%}
        {%- set found = run_query("select distinct model from " ~ watermarks() ~ " where " ~ ahead) -%}
        {%- if found.rows -%}
            {%- do exceptions.warn("dropped watermarks later than ClickHouse's clock; these models process all events again: " ~ found.columns[0].values() | join(", ")) -%}
            alter table {{ watermarks() }} {{ on_cluster_clause(watermarks()) }} delete where {{ ahead }} settings mutations_sync = 2
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}

{#- A model that an earlier release built incrementally, and this one does not: its watermark would never move again. -#}
{%- macro drop_retired_watermarks() -%}
    {%- if execute -%}
        {%- set names = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
            | rejectattr('config.materialized', 'equalto', 'incremental') | map(attribute='name') | list -%}
        {%- set retired = "model in ('" ~ names | join("', '") ~ "')" -%}
        {%- if run_query("select model from " ~ watermarks() ~ " where " ~ retired).rows -%}
            alter table {{ watermarks() }} {{ on_cluster_clause(watermarks()) }} delete where {{ retired }} settings mutations_sync = 2
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}

{#- Advance the model's watermark to the start of the run, capped by its upstream models' watermarks, so that building a
    model alone never skips events its upstreams have not processed. -#}
{%- macro record_watermark() -%}
    {%- if execute and model.config.materialized == 'incremental' -%}
        insert into {{ watermarks() }} (model, arrived_since, arrived_until, invocation)
        select
            '{{ model.name }}',
            toDateTime64('{{ last_watermark() }}', 3, 'UTC'),
            least(
                (select max(began_at) from {{ refresh_runs() }} where invocation = '{{ invocation_id }}')
                {%- for name in incremental_upstreams(model.depends_on.nodes) %},
                (select max(arrived_until) from {{ watermarks() }} where model = '{{ name }}')
                {%- endfor %}
            ),
            '{{ invocation_id }}'
    {%- endif -%}
{%- endmacro -%}

{#- The nearest incremental models among these nodes and, behind views and tables, among their upstreams. -#}
{%- macro incremental_upstreams(nodes) -%}
    {%- set found = [] -%}
    {%- for node in nodes if node in graph.nodes -%}
        {%- if graph.nodes[node].config.materialized == 'incremental' -%}
            {%- do found.append(graph.nodes[node].name) -%}
        {%- else -%}
            {%- do found.extend(incremental_upstreams(graph.nodes[node].depends_on.nodes)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro -%}

{#- The current model's watermark before this run, as text; 1970 if the model is built in full. -#}
{%- macro last_watermark() -%}
    {%- set last = namespace(text='1970-01-01 00:00:00.000') -%}
    {%- if execute and is_incremental() -%}
        {%- set found = run_query("select toString(max(arrived_until)) from " ~ watermarks() ~ " where model = '" ~ model.name ~ "'") -%}
        {%- set last.text = found.rows[0][0] -%}
    {%- endif -%}
    {{ return(last.text) }}
{%- endmacro -%}

{#- The insert time from which on events are new to the current model. The overlap covers inserts that were running at the
    time of the watermark: their rows carry an earlier insert time than that at which they became visible. -#}
{%- macro new_since() -%}
    toDateTime64('{{ last_watermark() }}', 3, 'UTC') - toIntervalSecond({{ var('overlap_seconds') }})
{%- endmacro -%}

{#- Columns of the events that were inserted into a raw table since the current model's last run, each combination once.
    Of keys, for `where (keys) in (...)`. -#}
{%- macro new_events(table, columns) -%}
    select distinct {{ columns | join(', ') }}
    from {{ source('beat', table) }}
    where insert_timestamp >= {{ new_since() }}
{%- endmacro -%}

{#- A delete+insert that was killed leaves the temporary table of its new rows. -#}
{%- macro drop_leftovers() -%}
    {%- if execute -%}
        {%- set found = run_query(
            "select name from system.tables where database = '" ~ target.schema ~ "' and name like '%\\_\\_dbt\\_new\\_data\\_%'"
            ~ " and metadata_modification_time < now() - toIntervalHour(1)"
        ) -%}
        {%- for row in found.rows -%}
            {%- do adapter.drop_relation(api.Relation.create(schema=target.schema, identifier=row[0], type='table')) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
