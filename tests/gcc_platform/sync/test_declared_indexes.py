"""What a mart's yml may declare as an index, and what is refused when the definitions load."""

from typing import Any

import pytest

from gcc_platform.resources.dbt_project import manifest
from gcc_platform.sync.declared_indexes import BadIndex, Key, indexes_of
from gcc_platform.sync.marts import marts_of


def model(*indexes: Any) -> dict[str, Any]:
    columns = dict.fromkeys(("platform", "handle", "audience"))
    return {"name": "mart_x", "columns": columns, "config": {"meta": {"indexes": list(indexes)}}}


def declared(*keys: str, **more: str) -> dict[str, Any]:
    return {"keys": list(keys), "serves": "a test", **more}


def test_a_key_is_a_column_or_an_expression_with_its_operator_class_and_order() -> None:
    [index] = indexes_of(model(declared("platform", "audience desc nulls last", 'lower(handle) collate "C" text_ops')))
    assert index.keys == (
        Key("platform"),
        Key("audience", order="desc nulls last"),
        Key('(lower(handle) collate "C")', "text_ops"),
    )
    assert [key.text for key in index.keys][1:] == ["audience desc nulls last", '(lower(handle) collate "C") text_ops']


def test_a_mart_that_declares_none_has_none() -> None:
    assert indexes_of({"name": "mart_x", "columns": {}, "config": {"meta": {}}}) == ()


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (declared("platfrom"), "platfrom is not a column of the mart"),
        (declared("lower(handel)"), "handel is not a column of the mart"),
        (declared("lower(handle"), "a parenthesis is not closed"),
        (declared("handle)"), "a parenthesis is closed that was not opened"),
        (declared("handle); drop table x --"), "a parenthesis is closed that was not opened"),
        (declared("handle; drop"), "cannot stand in a key"),
        (declared("now()"), "it uses no column of the mart"),
        (declared(""), "a key is empty"),
        (declared(), "it has no keys"),
        (declared("handle", method="btre"), "its method is btre: known are btree"),
        (declared("handle", unique="true"), "it has unique: known are"),
        ({"keys": ["handle"]}, "it does not say which queries it serves"),
        ("handle", "it has no keys"),
    ],
)
def test_nonsense_is_refused_with_the_mart_the_index_and_the_reason(index: Any, reason: str) -> None:
    with pytest.raises(BadIndex, match=r"^mart_x: its yml declares the index") as refused:
        indexes_of(model(index))
    assert reason in str(refused.value)


def test_the_marts_declare_those_that_the_api_needs() -> None:
    indexes = {mart.name: mart.indexes for mart in marts_of(manifest("warehouse"))}
    assert {len(indexes[name]) for name in ("mart_discovery", "mart_leaderboard", "mart_post_performance")} == {5, 3, 2}
    assert indexes["mart_profile_timeseries"] == indexes["mart_post_timeseries"] == ()
