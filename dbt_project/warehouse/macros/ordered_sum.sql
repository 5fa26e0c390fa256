{#- A sum of floats depends on their order. Sorted, they have one, so the sum is the same in every run. -#}
{%- macro ordered_sum(column) -%}
    arraySum(arraySort(groupArray({{ column }})))
{%- endmacro -%}
