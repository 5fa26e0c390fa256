{#- The settings of a table whose rows keep the number of their insert, by which the sync finds those that are new. Both
    are needed: with one alone, merges may fail. -#}
{%- macro block_numbers() -%}
    {{ return({'enable_block_number_column': 1, 'enable_block_offset_column': 1}) }}
{%- endmacro -%}

{#- Give the settings to tables that an earlier release created. Rows from before have the number of their part. -#}
{%- macro number_blocks() -%}
    {%- if execute -%}
        {%- set names = [] -%}
        {%- for node in graph.nodes.values() if 'enable_block_number_column' in node.config.get('settings', {}) -%}
            {%- do names.append(node.name) -%}
        {%- endfor -%}
        {%- set without = run_query(
            "select name from system.tables where database = '" ~ target.schema ~ "' and engine like '%MergeTree'"
            ~ " and name in ('" ~ names | join("', '") ~ "') and engine_full not like '%enable_block_number_column%'"
        ) -%}
        {%- for row in without.rows -%}
            {%- set relation = api.Relation.create(schema=target.schema, identifier=row[0]) -%}
            {%- do run_query(
                "alter table " ~ relation ~ " " ~ on_cluster_clause(relation)
                ~ " modify setting enable_block_number_column = 1, enable_block_offset_column = 1"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
