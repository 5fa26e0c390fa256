{#- What each table was built from. A table is a function of its code and of the tables that it reads: while these are
    as they were, and the table itself is as it was built, building it again would make the same rows. -#}
{%- macro build_inputs() -%}
    {{ return(api.Relation.create(schema=target.schema, identifier='refresh_inputs')) }}
{%- endmacro -%}

{%- macro create_build_inputs() -%}
    create table if not exists {{ build_inputs() }} {{ on_cluster_clause(build_inputs()) }}
    (
        model String comment 'The model, which is built as a table.',
        code String comment 'A hash of its SQL, configuration and descriptions.',
        inputs String comment 'A hash of the state of the tables that it read, before it read them.',
        output String comment 'A hash of the state of the table that was built.',
        built_at DateTime64(3, 'UTC') default now64(3) comment 'When.'
    )
    engine = {{ merge_tree('Replacing', 'built_at') }}
    order by model
    comment 'What each table was built from; it is not built again while that is the same.'
{%- endmacro -%}

{#- The tables that a model reads, itself or through views. -#}
{%- macro tables_read(unique_id) -%}
    {%- set found = [] -%}
    {%- for upstream in graph.nodes[unique_id].depends_on.nodes -%}
        {%- if upstream in graph.sources -%}
            {%- do found.append(source(graph.sources[upstream].source_name, graph.sources[upstream].name)) -%}
        {%- elif graph.nodes[upstream].config.materialized in ('view', 'ephemeral') -%}
            {%- do found.extend(tables_read(upstream)) -%}
        {%- else -%}
            {%- do found.append(api.Relation.create(
                schema=graph.nodes[upstream].schema, identifier=graph.nodes[upstream].alias
            )) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro -%}

{#- A hash of the state of tables: it changes with every insert, delete and mutation, and not with merges. A part is named
    partition_minblock_maxblock_level, and _mutation if there was one. Empty if the state is not known: of a table on other
    servers, or on other replicas too. -#}
{%- macro state_of_tables(relations) -%}
    {%- if target.cluster or not relations -%}
        {{ return('') }}
    {%- endif -%}
    {%- set names = [] -%}
    {%- for relation in relations -%}
        {%- do names.append("('" ~ relation.schema ~ "', '" ~ relation.identifier ~ "')") -%}
    {%- endfor -%}
    {%- set listed = "(" ~ names | unique | join(', ') ~ ")" -%}
    {%- set found = run_query(
        "select if(count() = " ~ names | unique | list | length ~ ", toString(cityHash64(groupArray(state))), '') from ("
        ~ " select (database, name, toString(uuid), create_table_query, ("
        ~ "   select groupArray(part) from ("
        ~ "     select (database, table, partition_id, max(max_block_number),"
        ~ "       max(toUInt64OrZero(extract(name, '_[0-9]+_[0-9]+_[0-9]+_([0-9]+)$')))) as part from system.parts"
        ~ "     where active and (database, table) in " ~ listed ~ " group by database, table, partition_id order by part"
        ~ " ))) as state"
        ~ " from system.tables where (database, name) in " ~ listed ~ " and engine like '%MergeTree' order by database, name)"
    ) -%}
    {{ return(found.rows[0][0]) }}
{%- endmacro -%}

{%- macro hash_of_code(sql) -%}
    {{ return(local_md5(sql ~ tojson(model.config) ~ tojson(model.columns) ~ model.description)) }}
{%- endmacro -%}

{%- macro is_built_from(code, inputs) -%}
    {%- if not inputs -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set found = run_query(
        "select output from " ~ build_inputs() ~ " final where model = '" ~ model.name ~ "'"
        ~ " and code = '" ~ code ~ "' and inputs = '" ~ inputs ~ "'"
    ) -%}
    {{ return(found.rows | length == 1 and found.rows[0][0] and found.rows[0][0] == state_of_tables([this])) }}
{%- endmacro -%}

{%- macro record_inputs(code, inputs) -%}
    {%- do run_query(
        "insert into " ~ build_inputs() ~ " (model, code, inputs, output) values"
        ~ " ('" ~ model.name ~ "', '" ~ code ~ "', '" ~ inputs ~ "', '" ~ state_of_tables([this]) ~ "')"
    ) -%}
{%- endmacro -%}
