"""What was changed by hand, in a mart, in PostgreSQL or among the API's views: the next refresh says so."""

from datetime import UTC, datetime
from uuid import uuid4

import psycopg

from tests.harness.running import eventually, query
from tests.oncall.fault import Fault
from tests.oncall.platform import Platform

_MART = "mart_post_timeseries"
_POSTS = 200


def _posts(platform: Platform) -> None:
    """Marts with rows that are served; nothing if they are there already."""
    url = platform.environment["CLICKHOUSE_URL"]
    if int(query(url, "SELECT count() FROM _e.post_log_events")):
        return
    events = [
        {
            "event_id": str(uuid4()),
            "source": "test",
            "platform": "INSTAGRAM",
            "profile_id": f"p{number % 10}",
            "shortcode": f"s{number}",
            "event_timestamp": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
            "metrics": {"views": number, "likes": 1},
            "dimensions": {"handle": f"h{number % 10}"},
        }
        for number in range(_POSTS)
    ]
    platform.publish("post_log", events)
    eventually(lambda: int(query(url, "SELECT count() FROM _e.post_log_events")) == _POSTS)
    platform.refresh()


def _served(platform: Platform, statement: str) -> None:
    """Run a statement in PostgreSQL, where {} is the table that is served."""
    with psycopg.connect(platform.environment["POSTGRES_URL"], autocommit=True) as postgres:
        found = postgres.execute("SELECT table_name FROM serving_data.syncs WHERE mart = %s", (_MART,)).fetchone()
        assert found, f"{_MART} is not served"
        postgres.execute(statement.format(f"serving_data.{found[0]}").encode())


def _change_mart(platform: Platform) -> None:
    query(
        platform.environment["GCC_DBT_CLICKHOUSE_URL"],
        f"ALTER TABLE warehouse.{_MART} UPDATE views = views + 1000000 WHERE 1 SETTINGS mutations_sync = 1",
    )
    platform.refresh()


def _rebuild_mart(platform: Platform) -> None:
    platform.command("dbt", "warehouse", "build", "--full-refresh", "--select", _MART)
    platform.refresh()


def _change_served(platform: Platform) -> None:
    _served(platform, "UPDATE {} SET views = views + 1 WHERE shortcode IN ('s1', 's2', 's3')")
    _served(platform, "DELETE FROM {} WHERE shortcode = 's4'")
    platform.refresh()


def _drop_view(platform: Platform) -> None:
    with psycopg.connect(platform.environment["GCC_DBT_POSTGRES_URL"], autocommit=True) as postgres:
        postgres.execute("DROP VIEW api.leaderboard")
    platform.refresh()


class _Reader:
    """A reader that keeps a view in use by a transaction that it does not end."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection | None = None

    def hold(self, platform: Platform) -> None:
        """While rows have changed, so that the next sync has to replace what the reader uses."""
        _served(platform, "DELETE FROM {} WHERE shortcode = 's5'")
        self._connection = psycopg.connect(platform.environment["POSTGRES_URL"])
        self._connection.execute(f"SELECT count(*) FROM serving.{_MART}")
        platform.refresh(succeeds=False)

    def end(self, platform: Platform) -> None:
        """End the transaction; the next refresh succeeds."""
        assert self._connection is not None
        self._connection.close()
        platform.refresh()
        platform.refresh()  # the first one has repaired the deleted row, and said so


_READER = _Reader()


def _again(platform: Platform) -> None:
    platform.refresh()


FAULTS = (
    Fault(
        "a mart is changed by hand",
        _change_mart,
        _rebuild_mart,
        {"alertname": "CheckFailed", "check": f"matches_source__{_MART}", "asset": f"marts/{_MART}"},
        seconds=180,
        text="UPDATE views = views + 1000000",
        heals_within=240,
        prepare=_posts,
    ),
    Fault(
        "rows in PostgreSQL are changed and deleted by hand",
        _change_served,
        _again,
        {"alertname": "CheckFailed", "check": "served_as_loaded", "asset": f"serving/{_MART}"},
        seconds=180,
        text="199 rows are served, 200 were loaded; 3 were inserted or updated since",
        heals_within=240,
        prepare=_posts,
    ),
    Fault(
        "a view of the API is dropped",
        _drop_view,
        _again,
        {"alertname": "CheckFailed", "check": "as_built", "asset": "api/leaderboard"},
        seconds=180,
        text="the view api.leaderboard was dropped",
        heals_within=240,
        prepare=_posts,
    ),
    Fault(
        "a reader holds a view for long",
        _READER.hold,
        _READER.end,
        {"alertname": "RunFailed", "job": "refresh"},
        seconds=300,
        text=_MART,
        heals_within=300,
        prepare=_posts,
    ),
)
