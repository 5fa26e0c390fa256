{#- While a company moves over from PostgreSQL, tables may still be read from its rows, which have the shape of the raw
    tables in another database: those named in DBT_LEGACY_TABLES (profile_log,post_log), by commas. Without it this is
    dbt's own source(). -#}
{%- macro source(name, table) -%}
    {%- set relation = builtins.source(name, table) -%}
    {%- set legacy_tables = env_var('DBT_LEGACY_TABLES', '').split(',') -%}
    {%- if name == 'beat' and table | replace('_events', '') in legacy_tables -%}
        {{ return(relation.incorporate(path={'schema': env_var('DBT_LEGACY_SCHEMA', '_legacy')})) }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro -%}
