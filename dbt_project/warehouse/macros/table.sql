{#- dbt-clickhouse's table, which is not built again while what it is built from is the same: it costs what is new. -#}
{%- materialization table, adapter='clickhouse' -%}
{%- set code = hash_of_code(sql) -%}
{%- set inputs = state_of_tables(tables_read(model.unique_id)) -%}
{%- if load_cached_relation(this) is not none and not should_full_refresh() and is_built_from(code, inputs) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('main') -%} select 'nothing that it is built from has changed' {%- endcall -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{%- else -%}
    {%- set built = dbt.materialization_table_clickhouse() -%}
    {%- do record_inputs(code, inputs) -%}
    {{ return(built) }}
{%- endif -%}
{%- endmaterialization -%}
