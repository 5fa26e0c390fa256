"""A mart's declared indexes are on each version of its table."""

from collections.abc import Callable
from dataclasses import replace

import psycopg

from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.declared_indexes import Index, Key
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.mode import Mode
from gcc_platform.sync.syncing import sync

WORDS = Index((Key("(to_tsvector('simple', words))"),), "gin")
ORDER = Index((Key("words", "text_pattern_ops"), Key("size", order="desc nulls last")))
ABSENT = Index((Key("words", "gin_absent_ops"),), "gin", extension="absent")


def definitions(target: psycopg.Connection, mart: Mart) -> set[str]:
    rows = target.execute(
        "SELECT regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE schemaname = 'serving_data' "
        "AND starts_with(tablename, %s)",
        (mart.name,),
    ).fetchall()
    return {row[0] for row in rows}


def test_a_synced_table_has_its_indexes_and_none_whose_extension_the_server_lacks(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64, words String, size Nullable(Int64)", "number, 'one two', number FROM numbers(9)")
    sync(source, target, replace(mart, indexes=(WORDS, ORDER, ABSENT)))
    assert definitions(target, mart) == {
        "btree (id)",
        "gin (to_tsvector('simple'::regconfig, words))",
        "btree (words text_pattern_ops, size DESC NULLS LAST)",
    }


def test_a_mart_whose_indexes_have_changed_is_loaded_again_and_one_whose_words_have_is_not(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart("id UInt64, words String, size Int64", "number, 'one', number FROM numbers(9)")
    loads = [
        sync(source, target, replace(mart, indexes=indexes)).mode
        for indexes in ((), (ORDER,), (replace(ORDER, serves="another query"),))
    ]
    assert loads == [Mode.FULL, Mode.FULL, Mode.UNCHANGED]


def test_an_operator_class_of_an_extension_is_found_in_its_schema(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart]
) -> None:
    """plpgsql is the one extension that every server has; its schema is where text_pattern_ops is."""
    mart = make_mart("id UInt64, words String", "number, 'one' FROM numbers(9)")
    index = Index((Key("words", "text_pattern_ops"),), extension="plpgsql")
    sync(source, target, replace(mart, indexes=(index,)))
    assert "btree (words text_pattern_ops)" in definitions(target, mart)
