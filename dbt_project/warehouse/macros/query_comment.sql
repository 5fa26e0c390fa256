{#- One line of JSON before each statement: its model or test, and the invocation. -#}
{%- macro query_comment(node) -%}
    {%- set comment = {"app": "dbt", "project": project_name, "invocation_id": invocation_id} -%}
    {%- if node is not none -%}
        {%- do comment.update(node=node.unique_id) -%}
    {%- endif -%}
    {{ return(tojson(comment)) }}
{%- endmacro -%}
