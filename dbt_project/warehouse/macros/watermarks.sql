{#- Up to which arrival each incremental model has everything. A model's own rows cannot say so: a run that is killed
    while it inserts leaves some of them. -#}
{%- macro watermarks() -%}
    {{ return(api.Relation.create(schema=target.schema, identifier='refresh_watermarks')) }}
{%- endmacro -%}

{%- macro create_watermarks() -%}
    create table if not exists {{ watermarks() }} {{ on_cluster_clause(watermarks()) }}
    (
        model String comment 'The incremental model.',
        arrived_since DateTime64(3, 'UTC') comment 'What its last run began with; tests look at what arrived since.',
        arrived_until DateTime64(3, 'UTC') comment 'What arrived before is in the model.',
        invocation String comment 'The dbt invocation that says so.'
    )
    engine = {{ merge_tree('Replacing', 'arrived_until') }}
    order by model
    comment 'Up to which arrival each incremental model has everything; its next run begins there.'
{%- endmacro -%}

{#- A table that an earlier release created has no arrived_since. -#}
{%- macro upgrade_watermarks() -%}
    alter table {{ watermarks() }} {{ on_cluster_clause(watermarks()) }}
    add column if not exists arrived_since DateTime64(3, 'UTC')
        comment 'What its last run began with; tests look at what arrived since.' after model
{%- endmacro -%}

{#- When each invocation began, by ClickHouse's clock: the one that says when events arrived. dbt's own may be another
    host's, and ahead of it. -#}
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

{#- A watermark that is later than now was recorded by a clock ahead, or ClickHouse's has been set back since: what
    arrived meanwhile is not known. Without it the model looks at everything again. -#}
{%- macro forget_future_watermarks() -%}
    {%- if execute -%}
        {%- set ahead = "arrived_until > now64(3) + toIntervalMinute(1)" -%}
        {%- set found = run_query("select distinct model from " ~ watermarks() ~ " where " ~ ahead) -%}
        {%- if found.rows -%}
            {%- do exceptions.warn("watermarks later than ClickHouse's clock, everything is looked at again: " ~ found.columns[0].values() | join(", ")) -%}
            alter table {{ watermarks() }} {{ on_cluster_clause(watermarks()) }} delete where {{ ahead }} settings mutations_sync = 2
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}

{#- What is there when a model has been built: all that had arrived when the invocation began, and no more than the
    models it is made of have. So a model that is run without them does not step over what they still miss. -#}
{%- macro record_watermark() -%}
    {%- if execute and model.config.materialized == 'incremental' -%}
        insert into {{ watermarks() }} (model, arrived_since, arrived_until, invocation)
        select
            '{{ model.name }}',
            toDateTime64('{{ last_watermark() }}', 3, 'UTC'),
            least(
                (select max(began_at) from {{ refresh_runs() }} where invocation = '{{ invocation_id }}')
                {%- for name in incremental_above(model.depends_on.nodes) %},
                (select max(arrived_until) from {{ watermarks() }} where model = '{{ name }}')
                {%- endfor %}
            ),
            '{{ invocation_id }}'
    {%- endif -%}
{%- endmacro -%}

{#- The nearest incremental models among these nodes and, where one is a view, what it is made of. -#}
{%- macro incremental_above(nodes) -%}
    {%- set found = [] -%}
    {%- for node in nodes if node in graph.nodes -%}
        {%- if graph.nodes[node].config.materialized == 'incremental' -%}
            {%- do found.append(graph.nodes[node].name) -%}
        {%- else -%}
            {%- do found.extend(incremental_above(graph.nodes[node].depends_on.nodes)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro -%}

{#- Up to which arrival the model at hand had everything before this run, as text. -#}
{%- macro last_watermark() -%}
    {%- set last = namespace(text='1970-01-01 00:00:00.000') -%}
    {%- if execute and is_incremental() -%}
        {%- set found = run_query("select toString(max(arrived_until)) from " ~ watermarks() ~ " where model = '" ~ model.name ~ "'") -%}
        {%- set last.text = found.rows[0][0] -%}
    {%- endif -%}
    {{ return(last.text) }}
{%- endmacro -%}

{#- From when on arrivals are new to the model at hand; all are, where it is built from nothing.
    The overlap is for inserts that were under way then: their rows carry a time before that at which they were seen. -#}
{%- macro arrived_since() -%}
    toDateTime64('{{ last_watermark() }}', 3, 'UTC') - toIntervalSecond({{ var('overlap_seconds') }})
{%- endmacro -%}

{#- The keys of what has arrived in a raw table since the model was last built, for `where (keys) in (...)`. -#}
{%- macro arrived(table, keys, condition='') -%}
    select distinct {{ keys | join(', ') }}
    from {{ source('beat', table) }}
    where insert_timestamp >= {{ arrived_since() }}
    {%- if condition %} and {{ condition }}{% endif %}
{%- endmacro -%}

{#- A delete+insert that was killed leaves the table of its new rows behind. -#}
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
