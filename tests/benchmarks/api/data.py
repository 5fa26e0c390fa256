"""Marts made up inside ClickHouse, of as many profiles as the API's benchmark asks for.

A row's key decides all of its values, so that a query's parameters can be computed: the n-th profile has the id
17841400000 + n, is on YOUTUBE if 3 divides n, and its i-th post is n_i.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gcc_platform.resources.dbt_project import manifest
from gcc_platform.sync.marts import Mart, marts_of
from tests.benchmarks.bench import Bench
from tests.harness.running import query

CATEGORIES = ("Beauty", "Comedy", "Education", "Fitness", "Food", "Gaming", "Music", "Travel")
COUNTRIES = ("IN", "US", "BR", "ID", "GB")
WORDS = 5_000
"""Words of the profiles' bios: topic0 is in most of them, topic4999 in a few."""
FIRST_ID = 17_841_400_000
_NEWEST_DAY = "toDate('2026-04-15')"
_LEADERBOARDS = "['profiles_by_followers', 'profiles_by_growth', 'profiles_by_engagement']"
_PERIODS = "['7d', '30d', 'all']"

# Handles have underscores, dots, capitals and other scripts, as real ones do.
_HANDLE = """multiIf(
    n % 50 = 1, concat('सृजक_', toString(n)), n % 50 = 2, concat('Автор.', toString(n)),
    n % 10 = 3, concat('Studio.', toString(n), '_Official'), concat('creator_', toString(n))
)"""
_BIO = f"""arrayStringConcat(arrayMap(
    place -> concat('topic', toString(toUInt32({WORDS} * pow(sipHash64(n, place) / 18446744073709551616, 3)))),
    range(12)
), ' ')"""


@dataclass(frozen=True)
class Scale:
    """How much there is."""

    profiles: int = 200_000
    with_history: int = 50_000
    """Profiles that have days, posts, ranks and followers in common with others."""
    days: int = 90
    posts: int = 20
    """Of each of these."""
    days_of_a_post: int = 5


SMALL = Scale(profiles=3_000, with_history=300, days=30, posts=12, days_of_a_post=2)

_PROFILE = {
    "platform": "if(n % 3 = 0, 'YOUTUBE', 'INSTAGRAM')",
    "profile_id": f"toString({FIRST_ID} + n)",
    "handle": _HANDLE,
    "category": f"{list(CATEGORIES)}[1 + sipHash64(n, 'category') % {len(CATEGORIES)}]",
    "country": f"{list(COUNTRIES)}[1 + sipHash64(n, 'country') % {len(COUNTRIES)}]",
    "is_verified": "toInt64(n % 20 = 0)",
    "bio": _BIO,
    "audience": "toInt64(exp(sipHash64(n) / 18446744073709551616 * 15))",
    "avg_engagement_rate": "sipHash64(n, 'rate', generation) % 100000 / 1000000",
    "is_suspicious": "toInt64(n % 100 = 0)",
    "is_carried": "toInt64(m % 4 = 0)",
    "as_of": _NEWEST_DAY,
    "shortcode": "''",
    "date": f"{_NEWEST_DAY} - m",
}
_POST = {
    **_PROFILE,
    "shortcode": "concat(toString(n), '_', toString(m))",
    "published_at": f"toDateTime64({_NEWEST_DAY}, 6, 'UTC') - toIntervalHour(m * 30)",
}


def load(bench: Bench, scale: Scale) -> list[Mart]:
    """Create all marts, and fill those that the API reads. Returns them in the order of their names."""
    found = marts_of(manifest("warehouse"))
    sources = dict(_sources(scale))
    url = bench.environment["GCC_DBT_CLICKHOUSE_URL"]
    query(url, "CREATE DATABASE IF NOT EXISTS warehouse")
    for mart in found:
        _create(url, mart)
        if mart.name in sources:
            query(url, _insert(mart, sources[mart.name]), 600)
    return found


def change(bench: Bench, scale: Scale, marts: Sequence[Mart], generation: int) -> None:
    """Change the marts as a refresh after new events does: some rows of those that dbt adds to, all of the others."""
    sources, url = dict(_sources(scale)), bench.environment["GCC_DBT_CLICKHOUSE_URL"]
    for mart in marts:
        if share := _CHANGED.get(mart.name):
            part = generation % share
            query(url, f"DELETE FROM {mart.source} WHERE (toUInt64(profile_id) - {FIRST_ID}) % {share} = {part}", 600)
            query(url, f"{_insert(mart, sources[mart.name], generation)} WHERE n % {share} = {part}", 600)
        elif mart.name in _REBUILT:
            _create(url, mart)
            query(url, _insert(mart, sources[mart.name], generation), 600)


_CHANGED = {"mart_profile_timeseries": 100, "mart_post_timeseries": 100, "mart_post_performance": 20}
"""One row of so many, as after 100,000 events on 10 million."""
_REBUILT = ("mart_discovery", "mart_profile_growth", "mart_leaderboard", "mart_network_overlap")


def _create(url: str, mart: Mart) -> None:
    declared = ", ".join(f"`{name}` {type_}" for name, type_ in _columns()[mart.name].items())
    numbers = "enable_block_number_column = 1, enable_block_offset_column = 1"
    settings = f"SETTINGS {numbers}" if mart.name in _CHANGED else ""
    query(
        url,
        f"CREATE OR REPLACE TABLE {mart.source} ({declared}) ENGINE = MergeTree "
        f"ORDER BY ({', '.join(mart.grain)}) {settings}",
    )
    if mart.rows_of:
        query(url, f"CREATE OR REPLACE VIEW warehouse.{mart.name} AS SELECT * FROM {mart.source}")


def _insert(mart: Mart, source: "Source", generation: int = 0) -> str:
    """The statement that fills a mart. A column without an expression of its own has a number by its key."""
    listed = ", ".join(
        f"{source.values.get(name) or _made_up(name, type_)} AS `{name}`"
        for name, type_ in _columns()[mart.name].items()
    )
    return f"INSERT INTO {mart.source} SELECT {listed} FROM (SELECT *, {generation} AS generation FROM ({source.rows}))"


@dataclass(frozen=True)
class Source:
    """The rows of a mart: numbers n, the profile, and m, the row of that profile; and its columns' expressions."""

    rows: str
    values: Mapping[str, str]


def _sources(scale: Scale) -> Iterator[tuple[str, Source]]:
    def each(profiles: int, of_each: int) -> str:
        return f"SELECT intDiv(number, {of_each}) AS n, number % {of_each} AS m FROM numbers({profiles * of_each})"

    few, posts, post_days = scale.with_history, scale.posts, scale.posts * scale.days_of_a_post
    yield "mart_discovery", Source(each(scale.profiles, 1), _PROFILE)
    yield "mart_profile_growth", Source(each(scale.profiles, 1), _PROFILE)
    yield "mart_profile_timeseries", Source(each(few, scale.days), _PROFILE)
    yield "mart_post_performance", Source(each(few, posts), _POST)
    of_post = {
        **_POST,
        "shortcode": f"concat(toString(n), '_', toString(m % {posts}))",
        "date": f"{_NEWEST_DAY} - intDiv(m, {posts})",
    }
    yield "mart_post_timeseries", Source(each(few, post_days), of_post)
    yield "mart_leaderboard", Source(each(few, 9), _ranks(few))
    other = f"toString({FIRST_ID} + (n + 1 + 3 * m) % {few})"
    ids = f"toString({FIRST_ID} + n)"
    pair = {
        "platform": _PROFILE["platform"],
        "profile_id": f"least({ids}, {other})",
        "other_profile_id": f"greatest({ids}, {other})",
        "overlap": "sipHash64(n, m, generation) % 1000 / 1000",
    }
    yield "mart_network_overlap", Source(each(few, 10), pair)
    yield "mart_sentiment", Source(each(few, 2), _POST)
    yield "mart_sentiment_profile", Source(each(few, 5), _PROFILE)


def _ranks(profiles: int) -> Mapping[str, str]:
    """A permutation of the profiles for each leaderboard and period."""
    return {
        **_PROFILE,
        "leaderboard": f"{_LEADERBOARDS}[1 + m % 3]",
        "period": f"{_PERIODS}[1 + intDiv(m, 3)]",
        "rank": f"toInt64(1 + (n + m * 997 + generation) % {profiles})",
        "rank_in_category": f"toInt64(1 + intDiv((n + m * 997 + generation) % {profiles}, {len(CATEGORIES)}))",
        "rank_in_country": f"toInt64(1 + intDiv((n + m * 997 + generation) % {profiles}, {len(COUNTRIES)}))",
    }


def _columns() -> Mapping[str, Mapping[str, str]]:
    """Each mart's columns and types, by its contract."""
    return {
        node["name"]: {name: column["data_type"] for name, column in node["columns"].items()}
        for node in manifest("warehouse")["nodes"].values()
        if node["resource_type"] == "model" and "marts" in node["fqn"][:-1]
    }


def _made_up(name: str, type_: str) -> str:
    bare = type_.removeprefix("Nullable(")
    number = f"sipHash64(n, m, '{name}', generation) % 10000"
    if bare.startswith("DateTime"):
        return f"toDateTime64({_NEWEST_DAY}, 6, 'UTC') - toIntervalMinute({number})"
    if bare.startswith("Date"):
        return f"{_NEWEST_DAY} - {number} % 90"
    if bare.startswith("Float"):
        return f"{number} / 10000"
    return f"toString({number})" if bare.startswith("String") else f"toInt64({number})"


def served(marts: Sequence[Mart]) -> list[str]:
    """The names of the marts that are filled."""
    filled = dict(_sources(SMALL))
    return [mart.name for mart in marts if mart.name in filled]
