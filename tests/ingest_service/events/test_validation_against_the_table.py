"""Admission knows the table: typed columns say what the metrics say, and a second look finds what the table refuses."""

import asyncio
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import uuid4

from ingest_service.clickhouse import client as clickhouse
from ingest_service.clickhouse.errors import InsertFailed
from ingest_service.commands.simulator import Simulator
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.events.validation import Bounds, Validator
from tests.harness.running import Table

NUMBERS = 3_000
BODIES = 2_500


def digits(chance: Random, most: int) -> str:
    return "".join(chance.choices("0123456789", k=chance.randrange(1, most)))


def a_number(chance: Random) -> str:
    """The text of a JSON number, many of them near where a double ends."""
    whole = chance.choice(["0", "1", "17976931348623157", "17976931348623158", "9" * 308, "1" + "0" * 308, "1" * 309,
                           "1" + digits(chance, 20), "1" + digits(chance, 320)])  # fmt: skip
    fraction = chance.choice(["", "", ".0", "." + digits(chance, 25), "." + "0" * 320 + "1"])
    power = chance.choice(["0", "1", "5", "18", "99", "291", "292", "293", "307", "308", "309", "310", "400", "999",
                           "00308", "99999999999999999999"])  # fmt: skip
    exponent = chance.choice(["", "", "e", "E", "e+", "e-", "E+"])
    return chance.choice(["", "-"]) + whole + fraction + (exponent + power if exponent else "")


def test_what_is_admitted_has_in_its_typed_columns_what_its_metrics_say(environment: Mapping[str, str]) -> None:
    chance, event_type = Random(3), EVENT_TYPES["post_log"]
    simulator = Simulator(seed=3)
    sent: dict[str, str] = {}
    bodies = []
    for n in range(NUMBERS):
        number = a_number(chance)
        metrics = f'{{"views": {n}, "engagement": {number}, "new": [{a_number(chance)}]}}'.encode()
        body = re.sub(rb'"metrics":\{[^}]*\}', b'"metrics":' + metrics, simulator.event("post_log"))
        sent[json.loads(body)["event_id"]] = number
        bodies.append(body)
    admitted = Validator(event_type, Bounds()).validate(bodies)
    assert NUMBERS / 4 < len(admitted.rows) < NUMBERS
    assert {(why.reason, why.detail.partition(" - at ")[0]) for _, why in admitted.rejected} == {
        ("invalid_field", "Number out of range")
    }

    assert asyncio.run(refused(environment, event_type.table, admitted.rows)) == []

    rows = Table(environment, event_type.table).rows("event_id, views, engagement, metrics")
    assert len(rows) == len(admitted.rows)
    for row in rows:
        number = float(sent[row["event_id"]])
        assert math.isfinite(number)
        assert row["views"] == int(re.findall(r'"views": (\d+)', row["metrics"])[0])
        assert row["engagement"] is not None
        assert math.isclose(row["engagement"], number, rel_tol=1e-12)
    # Nothing is rejected that a double can hold: what is beside the metric is as good or as bad by itself.
    for position, why in admitted.rejected:
        if "[0]" not in why.detail:
            assert not math.isfinite(float(sent[json.loads(bodies[position], parse_int=str)["event_id"]]))


def odd_values(chance: Random) -> Mapping[str, Any]:
    """By name of a field, values that are near what the contract or the table takes."""
    letters = "".join(chance.choices("0123456789abcdefABCDEF", k=32))
    dashed = "-".join((letters[:8], letters[8:12], letters[12:16], letters[16:20], letters[20:]))
    time = f"{chance.choice(['2026-01-15', '1999-12-31', '2298-02-28', '2026-02-29'])}{chance.choice('TTT  t_')}"
    time += chance.choice(["09:30:00", "23:59:59", "24:00:00", "9:30:00"])
    time += chance.choice(["", "", ".", "." + digits(chance, 8), "." + digits(chance, 40), "," + digits(chance, 3)])
    time += chance.choice(["", "", "Z", "z", "+0530", "-05:30", "+5", "+23:59", " Z"])
    number = chance.choice(["0", "-0", "1.0", "1e2", "2147483648", "18446744073709551615", "1e28", "1e29", "-1e29",
                            "9" * 29, "9" * 30, "9" * 29 + ".9", "1e-400", "0." + "1" * 40, "null"])  # fmt: skip
    long = '"' + "y" * 9_000 + '"'
    text = chance.choice(['"x"', '""', '"\\u0000"', '"\\ud83d\\ude00"', "null", '"\\/"', '"\x7f"', long])
    thing = chance.choice(["{}", "null", ' {"a":[1,"]"]} ', '{"a":"\\\\"}', '{"a":1,"a":{}}', '{"\\u0061":"\\u0000"}'])
    return {
        "event_id": json.dumps(chance.choice([dashed, letters, dashed.upper(), f"{{{dashed}}}", f"urn:uuid:{dashed}"])),
        **dict.fromkeys(("event_timestamp", "publish_time", "picked_at", "started_at", "updated_at"), json.dumps(time)),
        **dict.fromkeys(("scl_id", "priority", "status_code", "duration_ms", "amount", "score"), number),
        **dict.fromkeys(("metrics", "dimensions", "params", "new"), thing),
        **dict.fromkeys(("platform", "handle", "reason", "comment", "newer"), text),
    }


def an_odd_body(chance: Random, name: str, simulator: Simulator) -> bytes:
    fields = [(field, json.dumps(value)) for field, value in json.loads(simulator.event(name)).items()]
    odd = odd_values(chance)
    for _ in range(chance.choice([1, 1, 2])):
        at = chance.randrange(len(fields))
        fields[at] = (fields[at][0], odd.get(fields[at][0], fields[at][1]))
    if chance.random() < 0.1:
        fields.append(("new", odd["new"]))
    if chance.random() < 0.03:
        fields.append(chance.choice(fields))
    spelt = [field if chance.random() > 0.01 else f"\\u{ord(field[0]):04x}{field[1:]}" for field, _ in fields]
    return b"{%s}" % ", ".join(f'"{field}": {value}' for field, (_, value) in zip(spelt, fields, strict=True)).encode()


def test_a_second_look_rejects_what_the_table_refuses_and_nothing_else(environment: Mapping[str, str]) -> None:
    chance, simulator = Random(5), Simulator(seed=5)
    early = Bounds(earliest=datetime(1901, 1, 2, tzinfo=UTC))
    found = 0
    for name in ("post_log", "scrape_request_log", "affiliate_order", "trace_log", "sentiment_log"):
        table = EVENT_TYPES[name].table
        validator = Validator(EVENT_TYPES[name], early)
        first = validator.validate([an_odd_body(chance, name, simulator) for _ in range(BODIES // 5)])
        again = validator.look_again(first.rows, first.positions, first.times)
        found += len(again.rejected)
        assert all(why.detail for _, why in again.rejected)
        assert len(again.rows) + len(again.rejected) == len(first.rows)
        left = [row for row, position in zip(first.rows, first.positions, strict=True)
                if position in {position for position, _ in again.rejected}]  # fmt: skip
        assert asyncio.run(refused(environment, table, again.rows)) == []
        assert asyncio.run(refused(environment, table, left)) == left
    assert found > 50


async def refused(environment: Mapping[str, str], table: str, rows: Sequence[bytes]) -> list[bytes]:
    """The rows that the real table refuses."""

    async def insert(part: Sequence[bytes]) -> list[bytes]:
        try:
            await server.insert(table, part, str(uuid4()), {})
        except InsertFailed:
            if len(part) == 1:
                return [*part]
            return await insert(part[: len(part) // 2]) + await insert(part[len(part) // 2 :])
        return []

    async with clickhouse.connected(environment["CLICKHOUSE_URL"], 60) as server:
        return await insert(rows) if rows else []
