{#- The engine of every table. Replicated if the profile names a cluster. -#}
{%- macro merge_tree(kind='', version='') -%}
    {{ return(('Replicated' if target.cluster else '') ~ kind ~ 'MergeTree(' ~ version ~ ')') }}
{%- endmacro -%}
