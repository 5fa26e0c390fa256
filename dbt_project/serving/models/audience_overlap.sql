-- The mart has each pair once, with the smaller id first. Both halves read the mart itself: PostgreSQL would
-- compute a CTE that is read twice for all pairs.
select
    -- keys
    platform,
    profile_id,
    other_profile_id,

    -- metrics
    shared_followers,
    followers,
    other_followers,
    overlap
from {{ source('serving', 'mart_network_overlap') }}
union all
select
    -- keys
    platform,
    other_profile_id as profile_id,
    profile_id as other_profile_id,

    -- metrics
    shared_followers,
    other_followers as followers,
    followers as other_followers,
    overlap
from {{ source('serving', 'mart_network_overlap') }}
