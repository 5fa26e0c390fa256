"""Every value of every mart is the one that plain Python computes by the documented rules."""

import pytest

from tests.dbt_project import oracle
from tests.dbt_project.conftest import Build


def test_events_tie_and_repeat(build: Build) -> None:
    """The comparison below is worth something: the events hold what the rules are about."""
    ids = {event["event_id"] for event in build.post_events}
    assert len(ids) < len(build.post_events)
    instants = {
        (event["profile_id"], event["shortcode"], oracle.moment(event["event_timestamp"]))
        for event in build.post_events
    }
    assert len(instants) < len(ids)
    places = oracle.leaderboard(build.post_events, build.profile_events)
    ranks = [(row["leaderboard"], row["period"], row["rank"]) for row in places]
    assert len(set(ranks)) < len(ranks)
    for board in ("followers", "growth", "engagement"):
        changes = [row["rank_change"] for row in places if row["leaderboard"] == f"profiles_by_{board}"]
        assert any(changes), board
        assert None in changes, board


def test_every_day_of_every_post(build: Build) -> None:
    rows = build.rows("mart_post_timeseries")
    assert {tuple(row[name] for name in oracle.POST_KEY): row for row in rows} == oracle.post_timeseries(
        build.post_events
    )


def test_every_day_of_every_profile(build: Build) -> None:
    rows = build.rows("mart_profile_timeseries")
    assert {tuple(row[name] for name in oracle.PROFILE_KEY): row for row in rows} == oracle.profile_timeseries(
        build.profile_events
    )


def test_days_of_profiles_are_carried_and_growth_has_scores(build: Build) -> None:
    """The comparisons of profiles are worth something too."""
    days = oracle.profile_timeseries(build.profile_events).values()
    assert {row["is_carried"] for row in days} == {0, 1}
    assert any(row["audience_growth_rate_30d"] for row in days)
    profiles = oracle.profile_growth(build.profile_events, build.post_events).values()
    assert {row["is_suspicious"] for row in profiles} == {0, 1}
    assert any(row["z_score_30d"] for row in profiles)
    assert any(row["growth_rate_90d"] for row in profiles)


def test_the_growth_of_every_profile(build: Build) -> None:
    """Z-scores to nine digits: the oracle's mean and deviation are exact, ClickHouse's are sums of floats."""
    rows = {(row["platform"], row["profile_id"]): row for row in build.rows("mart_profile_growth")}
    expected = oracle.profile_growth(build.profile_events, build.post_events)
    for key, row in expected.items():
        score = row.pop("z_score_30d")
        assert rows[key].pop("z_score_30d") == (score and pytest.approx(score, rel=1e-9, abs=1e-9)), key
    assert rows == expected


def test_what_became_of_every_post(build: Build) -> None:
    rows = build.rows("mart_post_performance")
    expected = oracle.post_performance(build.post_events)
    assert {(row["platform"], row["profile_id"], row["shortcode"]): row for row in rows} == expected


def test_the_last_posts_of_every_profile(build: Build) -> None:
    rows = build.rows("int_profile_recent_posts")
    expected = oracle.recent_posts(build.post_events)
    assert {(row["platform"], row["profile_id"]): row for row in rows} == expected
    assert max(row["recent_posts"] for row in rows) == 12


def test_what_the_audience_of_every_profile_feels(build: Build) -> None:
    rows = {tuple(row[name] for name in oracle.PROFILE_KEY): row for row in build.rows("mart_sentiment_profile")}
    expected = oracle.sentiment_profile(build.sentiment_events, build.post_events)
    assert rows == expected
    judged = {(event["shortcode"], event["comment_id"]) for event in build.sentiment_events}
    assert 0 < sum(row["comments"] for row in rows.values()) < len(judged)
    assert {row["profile_id"] for row in rows.values()} >= {"p", "q", "r"}


def test_every_profile_a_search_can_find(build: Build) -> None:
    rows = {(row["platform"], row["profile_id"]): row for row in build.rows("mart_discovery")}
    assert rows == oracle.discovery(build.post_events, build.profile_events, build.sentiment_events)
    assert {row["handle"] for row in rows.values()} > {"dimension", "before", "after", None}
    assert {row["is_verified"] for row in rows.values()} == {0, 1, None}
    both = [row for row in rows.values() if row["audience_comments"] and row["audience"] is not None]
    assert both


def test_every_place_of_every_leaderboard(build: Build) -> None:
    rows = build.rows("mart_leaderboard")
    rows.sort(key=lambda row: tuple(row[name] for name in oracle.LEADERBOARD_KEY))
    assert rows == oracle.leaderboard(build.post_events, build.profile_events)
