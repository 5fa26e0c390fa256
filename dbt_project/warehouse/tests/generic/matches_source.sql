{#- A sample of an incremental model's rows has the values that its sources give today; another sample each
    quarter of an hour. And nobody has changed its rows by a mutation: dbt only deletes, by marking rows.
    Both find what was changed by hand, which no later run would repair. `keys` is the grain. Each of
    `sources` is a relation with the expressions of its keys, and of the `values` to compare, grouped by
    them; with more than one source the values are numbers, and add up. `arrivals` has, of raw tables, what
    the model's columns are of an event: rows with events that the model has not processed yet are not
    compared. `only` limits the rows. With `known_only`, a value that the source does not know passes. -#}
{% test matches_source(model, keys, sources, arrivals={}, only='1', known_only=false, sample=100) %}

{%- set key = keys | join(', ') -%}
{%- set names = sources[0]['values'].keys() | list %}

    with sampled as (

        select {{ key }}
        from {{ model }}
        where
            {{ only }}
            and cityHash64(_part_offset, toStartOfInterval(now(), toIntervalMinute(15)))
            % greatest(1, intDiv((select count(*) from {{ model }}), {{ sample }})) = 0
{%- for table, columns in arrivals.items() %}
            and ({{ columns.keys() | join(', ') }}) not in (
                select {{ columns.values() | join(', ') }}
                from {{ source('beat', table) }}
                where insert_timestamp >= (
                    select max(arrived_until) - toIntervalSecond({{ var('overlap_seconds') }})
                    from {{ watermarks() }}
                    where model = '{{ model.identifier }}'
                )
            )
            {%- endfor %}

    ),

    stored as (

        select
            {{ key }}
{%- for name in names %},
            {{ name }} as stored_{{ name }}
            {%- endfor %}
        from {{ model }}
        where ({{ key }}) in (select {{ key }} from sampled)

    ),

    given as (

{%- for each in sources %}
        {% if not loop.first %}union all{% endif %}
        select
            {%- for name in keys %}
            {{ each['keys'][loop.index0] }} as key_{{ name }},
            {%- endfor %}
            {%- for name in names %}
            {{ each['values'][name] }} as given_{{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ each['relation'] }}
        where ({{ each['keys'] | join(', ') }}) in (select {{ key }} from sampled)
        group by {% for name in keys %}key_{{ name }}{{ ', ' if not loop.last }}{% endfor %}
        {%- endfor %}

    ),

    expected as (

        select
{%- for name in keys %}
            key_{{ name }} as {{ name }},
            {%- endfor %}
{%- for name in names %}
            {{ 'sum' if sources | length > 1 else 'any' }}(given_{{ name }}) as expected_{{ name }},
            {%- endfor %}
            1 as is_there
        from given
        group by {% for name in keys %}key_{{ name }}{{ ', ' if not loop.last }}{% endfor %}

    ),

    compared as (

        select
            concat_ws(', ', {% for name in keys %}toString(stored.{{ name }}){{ ', ' if not loop.last }}{% endfor %}) as row_key,
            if(
                coalesce(expected.is_there, 0) = 0,
                [('the row', 'there', 'no event')],
                arrayFilter(value -> value.2 != value.3, [
{%- for name in names %}
                    (
                        '{{ name }}',
                        coalesce(toString(stored.stored_{{ name }}), 'unknown'),
                        coalesce(toString(expected.expected_{{ name }}), {{
                            "coalesce(toString(stored.stored_" ~ name ~ "), 'unknown')" if known_only else "'unknown'"
                        }})
                    ){{ ',' if not loop.last }}
                    {%- endfor %}
                ])
            ) as differences
        from stored
        left join expected using ({{ key }})

    )

    select
        row_key,
        difference.1 as name,
        difference.2 as stored,
        difference.3 as expected
    from compared
    array join differences as difference
    union all
    select
        toString(create_time) as row_key,
        'mutation' as name,
        command as stored,
        'none' as expected
    from system.mutations
    where
        database = '{{ model.schema }}'
        and table = '{{ model.identifier }}'
        and command not like '%_row_exists = 0%'
        and not is_killed

{% endtest %}
