{#- Views that stay. dbt-postgres would rename the old one and drop it with everything that depends on it.
    serving.replace_view, which the sync creates (gcc_platform/sync/views/replace_view.sql), does nothing where the
    definition is equal, and otherwise keeps the views over it, grants, comments and options. -#}
{%- materialization view, adapter='postgres' -%}
{%- set view = this.incorporate(type='view') -%}

{{ run_hooks(pre_hooks, inside_transaction=False) }}
{{ run_hooks(pre_hooks, inside_transaction=True) }}

{%- if config.get('contract').enforced -%}
    {%- do get_assert_columns_equivalent(sql) -%}
{%- endif -%}

{%- call statement('main', fetch_result=True) -%}
    select outcome, attempts
    from serving.replace_view(
        {{ dbt.string_literal(dbt.escape_single_quotes(view.schema)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(view.identifier)) }},
        {{ dbt.string_literal(dbt.escape_single_quotes(sql)) }}
    )
{%- endcall -%}
{%- set outcome = load_result('main').table.rows[0] -%}
{{ log(view ~ ': ' ~ outcome['outcome'] ~ ' (attempts: ' ~ outcome['attempts'] ~ ')') }}

{#- Readers wait until here: what follows takes no lock that they would wait for. -#}
{{ adapter.commit() }}

{#- Begins the next transaction: run_query does not. -#}
{%- call statement() -%} select 1 {%- endcall -%}
{#- Others' grants stay. -#}
{%- do apply_grants(view, config.get('grants'), should_revoke=False) -%}
{%- do persist_docs(view, model) -%}
{{ run_hooks(post_hooks, inside_transaction=True) }}
{{ adapter.commit() }}

{{ run_hooks(post_hooks, inside_transaction=False) }}

{{ return({'relations': [view]}) }}
{%- endmaterialization -%}
