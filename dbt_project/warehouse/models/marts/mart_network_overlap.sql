-- A table, not incremental: one new follower changes the pairs of all the profiles it follows, and a batch
-- changes most pairs.
{{ config(engine=merge_tree(), order_by=['platform', 'profile_id', 'other_profile_id']) }}

-- Pairs grow with the square of the profiles that an account follows. An account that follows very many, or a
-- profile that very many follow, carries little information on any pair.
{% set most_followed = 200 %}
{% set most_followers = 10000 %}

with edges as (

    -- A relationship of any type means that its source follows its target.
    select distinct
        platform,
        source_profile_id as follower_id,
        target_profile_id as profile_id
    from {{ ref('mart_network') }}
    where source_profile_id != target_profile_id

),

followed as (

    select
        platform,
        follower_id,
        profile_id,
        count(*) over (partition by platform, follower_id) as profiles_followed
    from edges

),

audiences as (

    select
        platform,
        follower_id,
        profile_id,
        count(*) over (partition by platform, profile_id) as followers
    from followed
    where profiles_followed <= {{ most_followed }}

),

-- The profiles that an account follows, sorted. A self-join would compute all of the above twice.
followed_together as (

    select
        platform,
        follower_id,
        arraySort(groupArray((profile_id, followers))) as profiles
    from audiences
    where followers between 2 and {{ most_followers }}
    group by
        platform,
        follower_id

),

expanded as (

    select
        platform,
        one,
        arraySlice(profiles, place + 1) as others
    from followed_together
    array join
        profiles as one,
        arrayEnumerate(profiles) as place

),

pairs as (

    select
        platform,
        one.1 as first_id,
        other.1 as second_id,
        count(*) as shared_followers,
        any(one.2) as followers,
        any(other.2) as other_followers
    from expanded
    array join others as other
    group by
        platform,
        first_id,
        second_id

),

final as (

    select
        -- keys
        platform,
        first_id as profile_id,
        second_id as other_profile_id,

        -- metrics
        toInt64(shared_followers) as shared_followers,
        toInt64(followers) as followers,
        toInt64(other_followers) as other_followers,
        shared_followers / (followers + other_followers - shared_followers) as overlap
    from pairs

)

select * from final
