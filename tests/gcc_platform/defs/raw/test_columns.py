"""Every column of a raw table is described, by the contract or the DDL."""

import pytest

from gcc_platform.defs.raw import ingest_assets
from gcc_platform.defs.raw.columns import column_schema, of_ddl
from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=lambda each: each.name)
def test_every_column_of_a_raw_table_says_what_it_means(event_type: EventType) -> None:
    assert [column.name for column in column_schema(event_type).columns if not column.description] == []


def test_descriptions_are_those_of_the_contract_the_event_types_own_ones_first() -> None:
    described = {column.name: column.description for column in column_schema(EVENT_TYPES["post_log"]).columns}
    assert described["shortcode"] == "The post on its platform."
    assert described["event_id"] == "Identifies the event across redeliveries and replays."
    assert described["views"] == "The metric `views` as a number; null without it."
    assert described["insert_timestamp"] == "When the row arrived, by ClickHouse's clock."


def test_a_columns_comment_takes_precedence_and_no_comment_is_a_column() -> None:
    schema = of_ddl(
        "-- A table\n    a UInt8,   -- from the DDL\n    b Nullable(String) CODEC(ZSTD(1))\n", {"a": "x", "b": "y"}
    )
    assert [(each.name, each.type, each.description) for each in schema.columns] == [
        ("a", "UInt8", "from the DDL"),
        ("b", "Nullable(String)", "y"),
    ]


def test_every_column_of_the_letters_and_the_ledger_says_what_it_means() -> None:
    for spec in ingest_assets.specs():
        if schema := spec.metadata.get("dagster/column_schema"):
            assert len(schema.columns) >= 12
            assert [column.name for column in schema.columns if not column.description] == []
