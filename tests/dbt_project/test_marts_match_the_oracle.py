"""Every value of every mart is the one that plain Python computes by the documented rules."""

from tests import oracle
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
    ranks = [(row["leaderboard"], row["rank"]) for row in oracle.leaderboard(build.post_events, build.profile_events)]
    assert len(set(ranks)) < len(ranks)


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


def test_what_became_of_every_post(build: Build) -> None:
    rows = build.rows("mart_post_performance")
    expected = oracle.post_performance(build.post_events)
    assert {(row["platform"], row["profile_id"], row["shortcode"]): row for row in rows} == expected


def test_the_last_posts_of_every_profile(build: Build) -> None:
    rows = build.rows("int_profile_recent_posts")
    expected = oracle.recent_posts(build.post_events)
    assert {(row["platform"], row["profile_id"]): row for row in rows} == expected
    assert max(row["recent_posts"] for row in rows) == 12


def test_every_profile_a_search_can_find(build: Build) -> None:
    rows = {(row["platform"], row["profile_id"]): row for row in build.rows("mart_discovery")}
    for row in rows.values():
        assert [row.pop(name) for name in ("category", "country", "is_verified", "bio")] == [None] * 4
    assert rows == oracle.discovery(build.post_events, build.profile_events)


def test_every_place_of_every_leaderboard(build: Build) -> None:
    rows = build.rows("mart_leaderboard")
    rows.sort(key=lambda row: (row["leaderboard"], row["rank"], row["profile_id"], row["shortcode"]))
    assert rows == oracle.leaderboard(build.post_events, build.profile_events)
