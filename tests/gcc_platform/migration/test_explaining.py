"""Where one snapshot is, by its row or by its event_id."""

import json
from collections.abc import Mapping
from uuid import uuid4

import psycopg

from gcc_platform.migration.identity import Origin
from tests.gcc_platform.migration.moving import Moving
from tests.gcc_platform.migration.operating import Operator, fill
from tests.gcc_platform.migration.test_reverse import arrive, event
from tests.harness.running import query


def explained(operator: Operator, snapshot: str) -> Mapping[str, str]:
    """The facts by place, of the table that knows something of it."""
    facts = [json.loads(line) for line in operator.run("explain", snapshot, "--json").splitlines()]
    return {each["place"]: each["text"] for each in facts if each["table"] == "profile_log"}


def test_an_old_row_is_followed_to_its_chunk_its_batch_and_its_raw_row(
    operator: Operator, old: psycopg.Connection
) -> None:
    fill(old, 900)
    operator.run("init", "profile_log")
    operator.run("backfill", "profile_log")
    operator.run("check", "profile_log", "--level", "rows")
    made = str(Origin(1, 0, 700).event_id())
    facts = explained(operator, "profile_log:700")
    assert facts["event_id"] == made
    assert facts["row of profile_log"].startswith("id 700, timestamp 2026-01-01 00:11:40")
    assert facts["chunk"].startswith("501 to 900: done")
    assert ", sealed 20" in facts["chunk"]
    assert facts["chunk"].endswith("batch migration/backfill/profile_log/501-900.1")
    assert "event_timestamp 2026-01-01 00:11:40" in facts["_e.profile_log_events"]
    assert explained(operator, made)["chunk"] == facts["chunk"]


def test_rows_that_the_tail_has_not_reached_and_rows_that_are_rejected_are_explained(
    operator: Operator, old: psycopg.Connection
) -> None:
    fill(old, 10)
    operator.run("init", "profile_log")
    operator.run("backfill", "profile_log")
    old.execute("INSERT INTO profile_log (profile_id) VALUES ('x')")
    assert explained(operator, "profile_log:11")["tail"] == "not reached yet: the next id is 11"
    operator.run("tail", "profile_log", "--once")
    assert explained(operator, "profile_log:11")["rejected"] == "missing_field; open"
    assert "is not there" in explained(operator, "profile_log:12")["row of profile_log"]


def test_an_event_is_followed_to_its_dead_letter_its_difference_and_its_refusal(
    operator: Operator, moving: Moving, old: psycopg.Connection
) -> None:
    event_id = str(uuid4())
    operator.run("init", "profile_log")
    operator.run("backfill", "profile_log")
    old.execute(
        "INSERT INTO profile_log (platform, profile_id, timestamp, event_id) VALUES ('INSTAGRAM', 'p', %s, %s)",
        [moving.minutes_ago(30), event_id],
    )
    letter = json.dumps({"event_id": event_id})
    query(
        moving.ingest_url,
        "INSERT INTO _e.dead_letter_events (letter_id, event_type, reason, detail, attempts, body_base64) "
        f"VALUES (generateUUIDv4(), 'profile_log', 'missing_field', 'platform', 1, base64Encode('{letter}'))",
    )
    operator.run("check", "profile_log", "--level", "rows", code=1)
    facts = explained(operator, event_id)
    assert facts["row of profile_log"].startswith("id 1, timestamp")
    assert facts["tail and backfill"].startswith("leave it out")
    assert facts["_e.profile_log_events"] == "has no row of it"
    assert facts["dead letter"].endswith("missing_field, platform")
    assert facts["difference"].startswith("only in PostgreSQL: dead-lettered: missing_field; seen")
    zero = event(dimensions='{"bio": "a\\u0000b"}')
    arrive(moving, [zero])
    operator.run("reverse", "profile_log", "--once")
    assert "PostgreSQL refuses it" in explained(operator, zero["event_id"])["reverse writer"]


def test_an_event_id_that_nothing_knows_is_reported_as_such(operator: Operator) -> None:
    assert "no table, dead letter or difference has this event_id" in operator.run("explain", str(uuid4()), code=1)


def test_what_is_no_snapshot_is_refused_with_what_one_looks_like(operator: Operator) -> None:
    for text in ("x", "profile_log:", "unknown:1"):
        assert "is neither an event_id nor TABLE:ID" in operator.run("explain", text, code=1)
    assert "another old database" in operator.run("explain", str(Origin(1, 5, 700).event_id()), code=1)
