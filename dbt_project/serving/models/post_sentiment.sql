select
    -- keys
    platform,
    shortcode,
    date,

    -- metrics
    comments,
    positive,
    neutral,
    negative,
    mean_score,
    score_sum,

    -- provenance
    updated_at
from {{ source('serving', 'mart_sentiment') }}
