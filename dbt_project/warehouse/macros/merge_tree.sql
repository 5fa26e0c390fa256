{#- The engine of every table. Naming a cluster in the profile is all it takes to replicate them. -#}
{%- macro merge_tree() -%}
    {{ return('ReplicatedMergeTree()' if target.cluster else 'MergeTree()') }}
{%- endmacro -%}
