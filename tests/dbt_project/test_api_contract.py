"""The API's views keep what lets PostgreSQL use the marts' indexes, and say what they read."""

import re
from collections.abc import Mapping
from typing import Any

from gcc_platform.resources.dbt_project import manifest
from gcc_platform.sync.declared_indexes import Index
from gcc_platform.sync.marts import marts_of
from tests.benchmarks.api.queries import queries_of

Node = Mapping[str, Any]
SERVING = manifest("serving")
VIEWS: dict[str, Node] = {
    node["name"]: node for node in SERVING["nodes"].values() if node["resource_type"] == "model"
}
INDEXES: dict[str, tuple[Index, ...]] = {mart.name: mart.indexes for mart in marts_of(manifest("warehouse"))}


def reads(view: Node) -> set[str]:
    """The marts that a view reads."""
    return {SERVING["sources"][source]["name"] for source in view["depends_on"]["nodes"]} - {"freshness"}


def without_spaces(sql: str) -> str:
    return re.sub(r"\s+", "", sql)


def test_no_view_of_marts_has_a_cte() -> None:
    """PostgreSQL does not merge a view with a CTE into the query: a page then sorts all rows of its filter."""
    code = {name: re.sub(r"--.*|\{#[\s\S]*?#\}", "", view["raw_code"]) for name, view in VIEWS.items() if reads(view)}
    assert [name for name, sql in code.items() if re.search(r"(?i)\bwith\b", sql)] == []


def test_the_expressions_that_the_view_of_search_computes_are_indexed() -> None:
    code = without_spaces(VIEWS["search"]["raw_code"])
    words = re.search(r"audience,(coalesce.*?)aswords", code)
    assert words
    assert "to_tsvector('simple',words)asdocument" in code
    assert 'lower(handle)collate"C"ashandle_lower' in code
    indexed = [without_spaces(key.value) for index in INDEXES["mart_discovery"] for key in index.keys]
    assert {f"(to_tsvector('simple',{words[1]}))", '(lower(handle)collate"C")'} <= set(indexed)


def test_freshness_lists_what_every_view_reads() -> None:
    listed = set(re.findall(r"\('(\w+)', '(mart_\w+)'\)", VIEWS["freshness"]["raw_code"]))
    assert listed == {(name, mart) for name, view in VIEWS.items() for mart in reads(view)}


def test_every_view_has_a_contract_and_an_example_query() -> None:
    assert [name for name, view in VIEWS.items() if not view["config"]["contract"]["enforced"]] == []
    assert {query.view for query in queries_of(SERVING)} == VIEWS.keys()


def test_a_yes_or_no_is_a_boolean() -> None:
    flags = {
        f"{name}.{column}": described["data_type"]
        for name, view in VIEWS.items()
        for column, described in view["columns"].items()
        if re.match(r"is_|has_", column)
    }
    assert len(flags) >= 5
    assert set(flags.values()) == {"boolean"}
