{#- Of the posts published after one day and up to another: the number that have a rate, and the mean rate. Sorted, because a
    sum of floats depends on their order. -#}
{%- macro engagement(after, until) -%}
    arrayMap(
        rates -> (
            toNullable(toInt64(length(rates))),
            if(empty(rates), null, arraySum(arraySort(rates)) / length(rates))
        ),
        [
            arrayMap(
                post -> post.2, arrayFilter(post -> post.1 > {{ after }} and post.1 <= {{ until }}, engagement_rates)
            )
        ]
    )[1]
{%- endmacro -%}
