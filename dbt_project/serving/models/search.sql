{#- PostgreSQL uses an index of an expression where a query has exactly that expression: those of document and
    handle_lower are in mart_discovery.yml of the warehouse. tests/dbt_project/test_api_contract.py compares them. -#}
select
    -- keys
    platform,
    profile_id,

    -- attributes
    handle,
    lower(handle) collate "C" as handle_lower,
    category,
    country,
    is_verified = 1 as is_verified,
    bio,

    -- metrics
    audience,

    -- search
    to_tsvector('simple', words) as document
from (
    select
        platform,
        profile_id,
        handle,
        category,
        country,
        is_verified,
        bio,
        audience,
        coalesce(handle, '') || ' ' || translate(coalesce(handle, ''), '._-', '   ')
        || ' ' || coalesce(bio, '') as words
    from {{ source('serving', 'mart_discovery') }}
) as described
