-- Functions of one session that make rows of the old tables. A row depends on its number, on how many rows there are,
-- and on the seed alone. Rows with numbers from first_row to last_row are made, in the order of time.

-- A number that looks random: the same for the same row, question and seed.
CREATE OR REPLACE FUNCTION pg_temp.chance(number bigint, question int, seed int) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT hashint8extended(number, seed::bigint * 1000 + question) & 9223372036854775807
$$;

-- What the crawlers looked at: profile p at a time. Of 100 rows one is odd, in ten ways in turn; eight rows in all can
-- be no events, in four ways in turn. The series have neither.
CREATE OR REPLACE FUNCTION pg_temp.crawls(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS TABLE (i bigint, p bigint, is_youtube boolean, at timestamp, share double precision, odd int, invalid int)
LANGUAGE sql STABLE AS $$
    SELECT i, p, mod(p, 5) = 0,
        since + make_interval(
            secs => seconds * (i - 1 + mod(pg_temp.chance(i, 1, seed), 1000) / 1000.0::double precision) / all_rows),
        i / all_rows::double precision,
        CASE WHEN mod(i + seed, 100) = 0 THEN mod((i + seed) / 100, 10) ELSE -1 END::int,
        CASE WHEN mod(i, greatest(1000, all_rows / 8)) = 0
            THEN mod(i / greatest(1000, all_rows / 8), 4) ELSE -1 END::int
    FROM (
        SELECT i, mod(pg_temp.chance(i, 0, seed), profiles) AS p FROM generate_series(first_row, last_row) AS i OFFSET 0
    ) AS numbered OFFSET 0
$$;

-- A time that is plausible, or one that no event can have.
CREATE OR REPLACE FUNCTION pg_temp.time_of(at timestamp, invalid int) RETURNS timestamp
LANGUAGE sql STABLE AS $$
    SELECT CASE invalid WHEN 2 THEN NULL WHEN 3 THEN timestamp '1970-01-01' ELSE at END
$$;

-- A list of metrics as five years of crawlers have left it.
CREATE OR REPLACE FUNCTION pg_temp.metrics(list text, odd int, name text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT CASE odd
        WHEN 0 THEN NULL
        WHEN 1 THEN 'null'
        WHEN 2 THEN jsonb_build_object(name, 7, 'source', 'an object')
        WHEN 3 THEN list::jsonb || jsonb_build_array(jsonb_build_object('key', name, 'value', 3))
        WHEN 4 THEN list::jsonb || '[{"key": "no_value"}, {"value": 4}, {"key": null, "value": 5}, "no pair"]'::jsonb
        WHEN 5 THEN list::jsonb || '[{"key": "engagement_rate", "value": 1.50}]'::jsonb
        WHEN 6 THEN list::jsonb || '[{"key": "impressions", "value": 123456789012345678901234}]'::jsonb
        WHEN 8 THEN '[]'
        ELSE list::jsonb END
$$;

-- A list of dimensions, likewise.
CREATE OR REPLACE FUNCTION pg_temp.dimensions(list text, odd int) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT CASE odd
        WHEN 7 THEN list::jsonb || jsonb_build_array(jsonb_build_object(
            'key', 'bio', 'value', E'Crème & "quotes"\n\tand \\ 💃🏽 "\u2028'))
        WHEN 8 THEN '[]'
        WHEN 9 THEN 'null'
        ELSE list::jsonb END
$$;

CREATE OR REPLACE FUNCTION pg_temp.platform(is_youtube boolean) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT CASE WHEN is_youtube THEN 'YOUTUBE' ELSE 'INSTAGRAM' END $$;

CREATE OR REPLACE FUNCTION pg_temp.profile_id(p bigint, is_youtube boolean) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN is_youtube THEN 'UC' || lpad(to_hex(p * 2654435761), 22, 'x')
        ELSE (17841400000000000 + p)::text END
$$;

-- Followers grow by up to a half over the years.
CREATE OR REPLACE FUNCTION pg_temp.followers(p bigint, share double precision) RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT ((1000 + p * 7) * (1 + share / 2))::bigint $$;

CREATE OR REPLACE FUNCTION pg_temp.fill_profile_log(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO profile_log (platform, profile_id, metrics, dimensions, source, timestamp)
    SELECT CASE WHEN invalid <> 0 THEN pg_temp.platform(is_youtube) END,
        CASE WHEN invalid <> 1 THEN pg_temp.profile_id(p, is_youtube) END,
        pg_temp.metrics(metrics, odd, name), pg_temp.dimensions(dimensions, odd),
        CASE WHEN is_youtube THEN 'ytapi' WHEN mod(i, 3) = 0 THEN 'rapidapi' ELSE 'graphapi' END,
        pg_temp.time_of(at, invalid)
    FROM (
        SELECT *, CASE WHEN is_youtube THEN 'subscribers' ELSE 'followers' END AS name,
            CASE WHEN is_youtube
                THEN format(
                    '[{"key": "subscribers", "value": %s}, {"key": "views", "value": %s}, '
                    '{"key": "videos", "value": %s}]',
                    pg_temp.followers(p, share), 90000 + p * 31 + i, mod(p, 400))
                ELSE format(
                    '[{"key": "followers", "value": %s}, {"key": "following", "value": %s}, '
                    '{"key": "posts", "value": %s}, {"key": "avg_likes", "value": %s}]',
                    pg_temp.followers(p, share), mod(p, 900), mod(p, 700) + (share * 300)::int,
                    (mod(p, 997) * 137 + mod(i, 10) * 10) / 100.0::double precision) END AS metrics,
            format(
                '[{"key": "handle", "value": "creator_%s"}, {"key": "category", "value": "%s"}, '
                '{"key": "is_verified", "value": %s}]',
                p, (ARRAY['Food', 'Travel', 'Fitness', 'Beauty', 'Tech'])[1 + mod(p, 5)],
                CASE WHEN mod(p, 11) = 0 THEN 'true' ELSE 'false' END) AS dimensions
        FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed) OFFSET 0
    ) AS of_profiles
$$;

CREATE OR REPLACE FUNCTION pg_temp.fill_insta_account_ts(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO insta_account_ts (
        profile_id, handle, followers, following, media_count, avg_likes, avg_comments, created_at, timestamp)
    SELECT pg_temp.profile_id(p, false), 'creator_' || p, pg_temp.followers(p, share), mod(p, 900),
        mod(p, 700) + (share * 300)::int, (mod(p, 997) * 137 + mod(i, 10) * 10) / 100.0::double precision, NULL, at, at
    FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed)
    WHERE NOT is_youtube AND odd < 0 AND invalid < 0
$$;

-- Post s of profile p, of 40.
CREATE OR REPLACE FUNCTION pg_temp.shortcode(p bigint, s bigint) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT 'C' || lpad(to_hex((p * 40 + s) * 2654435761), 10, 'x') $$;

CREATE OR REPLACE FUNCTION pg_temp.fill_post_log(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO post_log (platform, platform_post_id, profile_id, metrics, dimensions, source, timestamp)
    SELECT CASE WHEN invalid <> 0 THEN pg_temp.platform(is_youtube) END, pg_temp.shortcode(p, s),
        CASE WHEN invalid <> 1 THEN pg_temp.profile_id(p, is_youtube) END, pg_temp.metrics(metrics, odd, 'likes'),
        pg_temp.dimensions(dimensions, odd), CASE WHEN is_youtube THEN 'ytapi' ELSE 'graphapi' END,
        pg_temp.time_of(at, invalid)
    FROM (
        SELECT *,
            format(
                '[{"key": "likes", "value": %s}, {"key": "comments", "value": %s}, {"key": "views", "value": %s}, '
                '{"key": "reach", "value": %s}]',
                10 + mod(p, 5000) + (share * 2000)::int, mod(p + s, 300), 500 + mod(p * 13 + s * 17, 100000),
                900 + mod(p, 7000)) AS metrics,
            format(
                '[{"key": "handle", "value": "creator_%s"}, {"key": "post_type", "value": "%s"}, '
                '{"key": "taken_at_timestamp", "value": %s}]',
                p, (ARRAY['reels', 'image', 'carousel'])[1 + mod(s, 3)], published - mod(p * 40 + s, 8000000))
                AS dimensions
        FROM (
            SELECT *, mod(pg_temp.chance(i, 2, seed), 40) AS s, extract(epoch FROM since)::bigint AS published
            FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed) OFFSET 0
        ) AS numbered OFFSET 0
    ) AS of_posts
$$;

CREATE OR REPLACE FUNCTION pg_temp.fill_insta_post_ts(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO insta_post_ts (shortcode, likes, comments, plays, reach, created_at, timestamp)
    SELECT pg_temp.shortcode(p, s), 10 + mod(p, 5000) + (share * 2000)::int, mod(p + s, 300),
        500 + mod(p * 13 + s * 17, 100000), 900 + mod(p, 7000), at, at
    FROM (
        SELECT *, mod(pg_temp.chance(i, 2, seed), 40) AS s
        FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed) OFFSET 0
    ) AS of_posts
    WHERE NOT is_youtube AND odd < 0 AND invalid < 0
$$;

CREATE OR REPLACE FUNCTION pg_temp.fill_profile_relationship_log(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO profile_relationship_log (
        platform, source_profile_id, target_profile_id, relationship_type, source_metrics, target_metrics,
        source_dimensions, target_dimensions, source, timestamp)
    SELECT CASE WHEN invalid <> 0 THEN 'INSTAGRAM' END, pg_temp.profile_id(p, false), pg_temp.profile_id(p + 1, false),
        'FOLLOWER', pg_temp.metrics('[]', odd, 'followers'),
        pg_temp.metrics(format('[{"key": "followers", "value": %s}]', pg_temp.followers(p + 1, share)), odd,
            'followers'),
        NULL, pg_temp.dimensions(format('[{"key": "handle", "value": "creator_%s"}]', p + 1), odd), 'graphapi',
        pg_temp.time_of(at, invalid)
    FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed)
$$;

CREATE OR REPLACE FUNCTION pg_temp.fill_sentiment_log(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO sentiment_log (
        platform, platform_post_id, comment_id, comment, sentiment, score, metrics, dimensions, source, timestamp)
    SELECT CASE WHEN invalid <> 0 THEN 'INSTAGRAM' END, pg_temp.shortcode(p, 0), '178' || i,
        CASE WHEN odd = 7 THEN E'"so"\n\tgood \\ 😍' ELSE 'nice ' || i END,
        (ARRAY['positive', 'neutral', 'negative'])[1 + mod(i, 3)], mod(i, 1000) / 1000.0,
        pg_temp.metrics('[]', odd, 'likes'), pg_temp.dimensions('[{"key": "language", "value": "hi"}]', odd),
        'graphapi', pg_temp.time_of(at, invalid)
    FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed)
$$;

CREATE OR REPLACE FUNCTION pg_temp.fill_post_activity_log(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO post_activity_log (
        platform, activity_type, actor_profile_id, platform_post_id, metrics, dimensions, source, timestamp)
    SELECT CASE WHEN invalid <> 0 THEN 'INSTAGRAM' END, (ARRAY['LIKE', 'COMMENT'])[1 + mod(i, 2)],
        CASE WHEN invalid <> 1 THEN pg_temp.profile_id(p, false) END, pg_temp.shortcode(p + 1, 0),
        pg_temp.metrics('[]', odd, 'likes'), pg_temp.dimensions('[{"key": "text", "value": "nice"}]', odd), 'graphapi',
        pg_temp.time_of(at, invalid)
    FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed)
$$;

CREATE OR REPLACE FUNCTION pg_temp.fill_order_log(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO order_log (platform, platform_order_id, store, metrics, dimensions, source, timestamp)
    SELECT CASE WHEN invalid <> 0 THEN 'SHOPIFY' END, (4500000000000 + i)::text, 'store-' || mod(p, 20),
        pg_temp.metrics(format(
            '[{"key": "total", "value": %s}, {"key": "items", "value": %s}]', mod(p, 5000) + 0.5, 1 + mod(p, 9)),
            odd, 'total'),
        pg_temp.dimensions('[{"key": "currency", "value": "INR"}]', odd), 'shopifyapi', pg_temp.time_of(at, invalid)
    FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed)
$$;

CREATE OR REPLACE FUNCTION pg_temp.fill_asset_log(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO asset_log (
        platform, asset_id, asset_type, entity_type, entity_id, url, status, metrics, dimensions, source, timestamp)
    SELECT CASE WHEN invalid <> 0 THEN 'INSTAGRAM' END, pg_temp.shortcode(p, 0), 'IMAGE', 'POST',
        pg_temp.shortcode(p, 0), 'https://assets.example/' || pg_temp.shortcode(p, 0) || '.jpg', 'UPLOADED',
        pg_temp.metrics('[]', odd, 'bytes'), pg_temp.dimensions('[]', odd), 'graphapi', pg_temp.time_of(at, invalid)
    FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed)
$$;

-- The crawlers' queue of work. Its last rows are not final yet.
CREATE OR REPLACE FUNCTION pg_temp.fill_scrape_request_log(
    first_row bigint, last_row bigint, all_rows bigint, profiles bigint, since timestamp, seconds double precision,
    seed int
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO scrape_request_log (
        idempotency_key, platform, flow, status, params, priority, reason, created_at, scraped_at, picked_at,
        expires_at)
    SELECT 'refresh-' || seed || '-' || i, CASE WHEN invalid <> 0 THEN pg_temp.platform(is_youtube) END,
        'refresh_profile', status, jsonb_build_object('profile_id', pg_temp.profile_id(p, is_youtube)), 1 + mod(p, 3),
        CASE WHEN status = 'FAILED' THEN 'rate limited' END, at,
        CASE WHEN status IN ('COMPLETE', 'FAILED') THEN pg_temp.time_of(at + interval '40 s', invalid) END,
        CASE WHEN status <> 'PENDING' THEN at + interval '30 s' END, at + interval '1 hour'
    FROM (
        SELECT *, CASE WHEN i > all_rows - 10 THEN 'PENDING' WHEN i > all_rows - 20 THEN 'PROCESSING'
            WHEN odd >= 0 THEN 'FAILED' ELSE 'COMPLETE' END AS status
        FROM pg_temp.crawls(first_row, last_row, all_rows, profiles, since, seconds, seed) OFFSET 0
    ) AS of_requests
$$;
