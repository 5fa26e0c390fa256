import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ingest_service.events.contract import EXCHANGE
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.archiving import (
    Environment,
    Headers,
    archive_once,
    letter_headers,
    listed,
    put,
    replay,
    rows,
    waiting,
)
from tests.harness.orders import order, publish
from tests.harness.running import GCC_INGEST, Table, eventually, query, run, service
from tests.harness.terminal import controls, on_terminal

ORDERS = EVENT_TYPES["order_log"]
ASSETS = EVENT_TYPES["asset_log"]

# Linux includes the memory between fork and exec in a process's peak, so a child of a large process appears just as
# large. This small process starts the command and prints the command's peak in kilobytes.
PEAK_MEMORY = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


@pytest.fixture
def letters(environment: Environment) -> Environment:
    """Five archived letters of two types, two reasons and three days."""
    day = "2026-01-{}T12:00:00.000+00:00"
    put(environment, "order_log", [
        (b"\xffone", letter_headers("not_json", day.format(10))),
        (order(2), letter_headers("refused_by_table", day.format(11))),
        (order(3), letter_headers("refused_by_table", day.format(12))),
    ])  # fmt: skip
    put(environment, "asset_log", [
        (b"four", letter_headers("not_json", day.format(11))),
        (b"five", letter_headers("not_json", day.format(12))),
    ])  # fmt: skip
    assert archive_once(environment) == 5
    return environment


def counts(environment: Environment, *options: str) -> dict[tuple[str, str], int]:
    return {(group["event_type"], group["reason"]): group["letters"] for group in listed(environment, *options)}


def test_list_counts_by_type_and_reason_what_the_filters_leave(letters: Environment) -> None:
    assert counts(letters) == {
        ("asset_log", "not_json"): 2,
        ("order_log", "not_json"): 1,
        ("order_log", "refused_by_table"): 2,
    }
    assert counts(letters, "--since", "2026-01-11", "--until", "2026-01-12", "--reason", "not_json") == {
        ("asset_log", "not_json"): 1
    }
    (group,) = listed(letters, "--type", "order_log", "--reason", "not_json")
    shown = run(letters, "dead-letters", "list").stdout.decode()
    assert "2026-01-12 12:00:00Z" in shown
    assert group["newest"] in shown


def test_show_prints_one_letter_whole_and_its_body_byte_for_byte(letters: Environment) -> None:
    (group,) = listed(letters, "--type", "order_log", "--reason", "not_json")
    shown = run(letters, "dead-letters", "show", group["newest"]).stdout.decode()
    for part in ("order_log", "not_json", "it is so", "waiting", "file://", "x-gcc-first-rejected-at", "\\xffone"):
        assert part in shown
    assert run(letters, "dead-letters", "show", group["newest"], "--body").stdout == b"\xffone"
    unknown = run(letters, "dead-letters", "show", "00000000-0000-4000-8000-000000000000")
    assert unknown.returncode == 1
    assert "no archived dead letter 00000000-0000-4000-8000-000000000000" in unknown.stderr.decode()


def test_replay_publishes_what_the_filters_leave_once_and_a_dry_run_nothing(letters: Environment) -> None:
    done = run(letters, "dead-letters", "replay", "--dry-run", "--type", "order_log")
    assert "3 letters to publish again" in done.stderr.decode()
    assert waiting(letters, ORDERS.queue) == 0
    assert replay(letters, "--type", "order_log", "--reason", "refused_by_table", "--rate", "1000")[0] == 2
    assert waiting(letters, ORDERS.queue) == 2
    assert waiting(letters, EVENT_TYPES["asset_log"].queue) == 0
    count, stderr = replay(letters, "--type", "order_log")
    assert count == 1
    assert "skipped: 2 already replayed, 0 failed again (--again includes them)" in stderr
    states = {
        group["reason"]: (group["waiting"], group["replayed"]) for group in listed(letters, "--type", "order_log")
    }
    assert states == {"not_json": (0, 1), "refused_by_table": (0, 2)}


def test_replay_publishes_to_our_exchange_with_the_letters_own_type_whatever_its_headers_name(
    environment: Environment,
) -> None:
    def came_with(exchange: str, routing_key: str) -> Headers:
        return letter_headers(**{"original-exchange": exchange, "original-routing-key": routing_key})

    put(environment, "order_log", [
        (order(1), came_with("", ASSETS.queue)),
        (order(2), came_with(EXCHANGE, ASSETS.routing_key)),
        (order(3), came_with(EXCHANGE, ASSETS.error_queue)),
        (order(4), came_with(EXCHANGE, ORDERS.routing_key)),
    ])  # fmt: skip
    assert archive_once(environment) == 4
    count, stderr = replay(environment)
    assert count == 1
    assert "3 more are skipped: the address in their headers is not beat.dx" in stderr
    assert (waiting(environment, ASSETS.queue), waiting(environment, ASSETS.error_queue)) == (0, 0)
    assert waiting(environment, ORDERS.queue) == 1
    assert replay(environment, "--to", "order_log")[0] == 3
    assert waiting(environment, ORDERS.queue) == 4


def test_replay_publishes_nothing_that_nobody_has_chosen_and_confirmed(letters: Environment) -> None:
    for options, message in {
        ("--yes", "--again", "--to", "order_log"): "select letters with",
        ("--type", "order_log"): "stdin is not a terminal",
        ("--all",): "stdin is not a terminal",
    }.items():
        done = run(letters, "dead-letters", "replay", *options)
        assert done.returncode == 2
        assert [line for line in done.stderr.decode().splitlines() if line.startswith("Error:") and message in line]
    assert waiting(letters, ORDERS.queue) == waiting(letters, ASSETS.queue) == 0


def test_on_a_terminal_replay_says_what_would_be_refused_again_and_asks(letters: Environment) -> None:
    command = (letters, "dead-letters", "replay", "--type", "order_log")
    refused = on_terminal(*command, answer=b"n\n")
    assert b"3 letters to publish again" in refused.output
    assert b"1 of them would be refused again: not_utf8 1" in refused.output
    assert b"2 of them may be refused again: their table refused them" in refused.output
    assert waiting(letters, ORDERS.queue) == 0
    assert b"3 letters published again" in on_terminal(*command, answer=b"y\n").output
    assert waiting(letters, ORDERS.queue) == 3


def test_list_says_how_many_todays_admission_would_refuse_again(letters: Environment) -> None:
    put(letters, "order_log", [
        (order(6), letter_headers("implausible_time")),
        (order(7, event_timestamp="1999-01-01T00:00:00Z"), letter_headers("implausible_time")),
    ])  # fmt: skip
    assert archive_once(letters) == 2
    found = {(group["event_type"], group["reason"]): group for group in listed(letters)}
    assert {key: (group["refused_again"], group["not_known"]) for key, group in found.items()} == {
        ("asset_log", "not_json"): (2, 0),
        ("order_log", "not_json"): (1, 0),
        ("order_log", "refused_by_table"): (0, 2),
        ("order_log", "implausible_time"): (1, 0),
    }
    shown = run(letters, "dead-letters", "list", "--reason", "implausible_time").stdout.decode()
    assert "refused again 1  not known 0" in shown
    assert {group["refused_again"] for group in listed(letters, "--no-check")} == {None}


def test_on_80_columns_list_shows_the_whole_id_that_show_takes(environment: Environment) -> None:
    longest = max(EVENT_TYPES, key=len)
    put(environment, longest, [(b"x", letter_headers("refused_by_table"))] * 3)
    assert archive_once(environment)
    shown = on_terminal(environment, "dead-letters", "list").output.decode()
    assert max(map(len, shown.splitlines())) <= 80
    (letter,) = re.findall(r"newest ([0-9a-f-]{36})$", shown, re.MULTILINE)
    assert run(environment, "dead-letters", "show", letter).returncode == 0


def test_list_reads_letters_of_any_size_in_bounded_memory(environment: Environment) -> None:
    query(
        environment["CLICKHOUSE_URL"],
        """INSERT INTO _e.dead_letter_events (letter_id, event_type, reason, attempts, first_rejected_at,
            last_rejected_at, original_exchange, original_routing_key, headers, body_base64, archived_at)
        SELECT generateUUIDv4(), 'order_log', 'too_large', 1, now64(3), now64(3), 'beat.dx', 'order_log_events', '{}',
            base64Encode(repeat(repeat('x', 1000000), 8)), now64(3)
        FROM numbers(30) SETTINGS max_block_size = 2""",
    )
    listing = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY, GCC_INGEST, "dead-letters", "list"],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
    )
    assert b"refused again 30" in listing.stdout
    assert int(listing.stderr) < 250 * 2**10, "kilobytes: it is 150,000, and with all 240 MB of bodies at once 710,000"


def test_nothing_that_a_message_holds_reaches_a_terminal_as_a_control_character(environment: Environment) -> None:
    evil = "".join(map(chr, (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))))
    sent = letter_headers(**dict.fromkeys(("detail", "original-exchange", "replay"), f"x{evil}y"))
    body = evil.encode() + bytes(range(256)) + b"the end"
    put(
        environment,
        "order_log",
        [(body, {**sent, "x-gcc-reason": f"\x1b]0;owned\x07{evil}", f"x-{evil}"[:60]: evil})],
    )
    assert archive_once(environment) == 1
    letter = rows(environment, "letter_id")[0]["letter_id"]
    output = {
        arguments: on_terminal(environment, "dead-letters", *arguments).output
        for arguments in [("list",), ("list", "--json"), ("show", letter), ("show", letter, "--body"),
                          ("replay", "--all", "--dry-run")]
    }  # fmt: skip
    for arguments, shown in output.items():
        assert not controls(shown.decode()), arguments
    assert "\\u001b]0;owned\\u0007" in output["show", letter].decode()
    assert b"the end" in output["show", letter, "--body"]
    assert b"a file or a pipe gets the raw bytes" in output["show", letter, "--body"]
    assert not controls(run(environment, "dead-letters", "show", letter).stdout.decode())
    assert run(environment, "dead-letters", "show", letter, "--body").stdout == body


def test_a_limit_publishes_the_first_ones_and_says_of_how_many(letters: Environment) -> None:
    count, stderr = replay(letters, "--limit", "2")
    assert count == 2
    assert "2 of 5 letters to publish again" in stderr
    assert replay(letters, "--limit", "2", "--rate", "1000")[0] == 2
    assert replay(letters, "--limit", "2")[0] == 1


def test_a_letter_whose_cause_is_mended_lands_once_though_it_is_replayed_twice(
    environment: Environment, tmp_path: Path
) -> None:
    table = Table(environment, ORDERS.table)
    table.command("ALTER TABLE {} ADD CONSTRAINT one_store CHECK store != 'two'")
    with service(environment, tmp_path) as running:
        running.wait_ready()
        try:
            publish(environment, ORDERS.routing_key, order(1, store="two"), order(2))
            eventually(lambda: running.status("order_log")["dead_lettered"] == {"refused_by_table": 1})
        finally:
            table.command("ALTER TABLE {} DROP CONSTRAINT one_store")
        assert archive_once(environment) == 1
        assert replay(environment)[0] == 1
        eventually(lambda: table.count() == 2)
        assert replay(environment)[0] == 0
        assert replay(environment, "--again")[0] == 1
        eventually(lambda: running.status("order_log")["landed"] == 3)
    assert [row["store"] for row in table.rows()] == ["two", "one"]
    (group,) = listed(environment)
    assert (group["letters"], group["replayed"], group["failed_again"]) == (1, 1, 0)


def test_a_letter_that_fails_again_says_so_keeps_its_first_time_and_is_left_alone(
    environment: Environment, tmp_path: Path
) -> None:
    with service(environment, tmp_path) as running:
        running.wait_ready()
        publish(environment, ORDERS.routing_key, b"not json")
        eventually(lambda: waiting(environment, ORDERS.error_queue) == 1)
        assert archive_once(environment) == 1
        (before,) = rows(environment, "*")
        assert replay(environment)[0] == 1
        eventually(lambda: waiting(environment, ORDERS.error_queue) == 1)
        assert archive_once(environment) == 1
        (after,) = rows(environment, "*")
        assert (before["attempts"], after["attempts"]) == (1, 2)
        assert after["letter_id"] == before["letter_id"]
        assert after["first_rejected_at"] == before["first_rejected_at"] == before["last_rejected_at"]
        assert after["last_rejected_at"] > after["first_rejected_at"]
        assert json.loads(after["headers"])["x-gcc-replay"]
        count, stderr = replay(environment)
        assert (count, "1 failed again" in stderr) == (0, True)
        assert listed(environment)[0]["failed_again"] == 1
        assert running.status("order_log")["received"] == 2
        assert replay(environment, "--again")[0] == 1
        eventually(lambda: waiting(environment, ORDERS.error_queue) == 1)
        assert archive_once(environment) == 1
        assert rows(environment, "attempts") == [{"attempts": 3}]
        assert running.status("order_log")["received"] == 3
