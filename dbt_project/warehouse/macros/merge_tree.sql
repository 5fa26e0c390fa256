{#- The engine of every table. Naming a cluster in the profile is all it takes to replicate them. -#}
{%- macro merge_tree(kind='', version='') -%}
    {{ return(('Replicated' if target.cluster else '') ~ kind ~ 'MergeTree(' ~ version ~ ')') }}
{%- endmacro -%}
