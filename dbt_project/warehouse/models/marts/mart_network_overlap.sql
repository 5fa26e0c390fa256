-- A table: one new follower changes the pairs of all the profiles it follows, and in a batch that is most.
{{ config(engine=merge_tree(), order_by=['platform', 'profile_id', 'other_profile_id']) }}

-- Pairs grow with the square of what an account follows. One that follows everybody tells nothing of those it
-- follows, and a profile that everybody follows overlaps with all.
{% set most_followed = 200 %}
{% set most_followers = 10000 %}

with edges as (

    -- A relationship of whatever type says that its source follows its target.
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

-- What an account follows, in order. A join of it with itself would compute all of the above twice.
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

lesser as (

    select
        platform,
        one,
        arraySlice(profiles, place + 1) as greater_ones
    from followed_together
    array join
        profiles as one,
        arrayEnumerate(profiles) as place

),

pairs as (

    select
        platform,
        one.1 as lesser_id,
        other.1 as greater_id,
        count(*) as shared_followers,
        any(one.2) as followers,
        any(other.2) as other_followers
    from lesser
    array join greater_ones as other
    group by
        platform,
        lesser_id,
        greater_id

),

final as (

    select
        -- keys
        platform,
        lesser_id as profile_id,
        greater_id as other_profile_id,

        -- metrics
        toInt64(shared_followers) as shared_followers,
        toInt64(followers) as followers,
        toInt64(other_followers) as other_followers,
        shared_followers / (followers + other_followers - shared_followers) as overlap
    from pairs

)

select * from final
