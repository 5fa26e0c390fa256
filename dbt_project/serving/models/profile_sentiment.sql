select
    -- keys
    platform,
    profile_id,
    date,

    -- metrics
    comments,
    positive,
    neutral,
    negative,
    mean_score,
    score_sum,
    posts,

    -- provenance
    updated_at
from {{ source('serving', 'mart_sentiment_profile') }}
