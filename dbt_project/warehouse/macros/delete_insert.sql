{#- dbt-clickhouse's delete_insert, which leaves a table alone if there are no new rows. A DELETE that deletes nothing is a
    mutation all the same: it renames every part of the table, so that whatever is built from it is built again. -#}
{%- macro clickhouse__incremental_delete_insert(
    existing_relation, unique_key, incremental_predicates, is_distributed=False
) -%}
    {%- set new_data = existing_relation.incorporate(path={
        "identifier": existing_relation.identifier ~ '__dbt_new_data_' ~ invocation_id.replace('-', '_')
    }) -%}
    {{ drop_relation_if_exists(new_data) }}
    {%- call statement('main') -%} {{ get_create_table_as_sql(False, new_data, sql) }} {%- endcall -%}
    {%- if run_query("select 1 from " ~ new_data ~ " limit 1").rows | length -%}
        {%- call statement('delete_existing_data') -%}
            delete from {{ existing_relation }}
            where ({{ unique_key }}) in (select {{ unique_key }} from {{ new_data }})
            {%- for predicate in incremental_predicates or [] %} and {{ predicate }} {%- endfor %}
            {{ adapter.get_model_query_settings(model) }}
        {%- endcall -%}
        {%- set columns = adapter.get_columns_in_relation(existing_relation) | map(attribute='quoted') | join(', ') -%}
        {%- call statement('insert_new_data') -%}
            insert into {{ existing_relation }} select {{ columns }} from {{ new_data }}
            {{ adapter.get_model_query_settings(model) }}
        {%- endcall -%}
    {%- endif -%}
    {%- do adapter.drop_relation(new_data) -%}
{%- endmacro -%}
