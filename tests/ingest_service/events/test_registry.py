import re
from pathlib import Path

import pytest

from ingest_service.events.registry import EVENT_TYPES

TABLES = Path(__file__).parents[3] / "ingest_service" / "schema" / "tables"
SPEC = Path(__file__).parents[4] / "shared" / "spec" / "events.md"


def test_every_event_type_has_a_table_and_every_table_an_event_type() -> None:
    assert {f"_e.{path.stem}" for path in TABLES.glob("*.sql")} == {each.table for each in EVENT_TYPES.values()}


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_a_table_has_a_column_for_every_field_of_its_event(name: str) -> None:
    columns = set(re.findall(r"^    (\w+) ", (TABLES / f"{name}_events.sql").read_text(), re.MULTILINE))
    assert set(EVENT_TYPES[name].struct.__struct_fields__) | {"extra", "insert_timestamp"} <= columns


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_a_sorting_key_ends_in_event_id_so_that_redeliveries_collapse(name: str) -> None:
    assert re.search(r"ORDER BY \(.*, event_id\)$", (TABLES / f"{name}_events.sql").read_text(), re.MULTILINE)


@pytest.mark.skipif(not SPEC.exists(), reason="the specification is not beside this checkout")
def test_names_are_those_of_the_event_contract() -> None:
    contract = dict(re.findall(r"^\| (\w+) \| (\w+_events)\b", SPEC.read_text(), re.MULTILINE))
    assert {name: each.routing_key for name, each in EVENT_TYPES.items()} == contract
    post_log = EVENT_TYPES["post_log"]
    assert (post_log.queue, post_log.error_queue) == ("post_log_events_q", "error.post_log_events_q")
