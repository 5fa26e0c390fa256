"""A contract whose columns PostgreSQL cannot hold stops the definitions from loading."""

from typing import Any

import pytest

from gcc_platform.sync.column_types.refusals import UnsupportedColumn
from gcc_platform.sync.marts import marts_of


def _manifest(jsonb: object = None, **types: str | None) -> dict[str, Any]:
    columns = {
        name: {"data_type": its_type, "config": {"meta": {"jsonb": True} if name == "own" else {}}}
        for name, its_type in types.items()
    }
    model = {
        "resource_type": "model",
        "fqn": ["warehouse", "marts", "mart_x"],
        "name": "mart_x",
        "schema": "warehouse",
        "description": "",
        "unique_id": "model.warehouse.mart_x",
        "config": {"meta": {"grain": ["id"], "jsonb": jsonb}},
        "columns": columns,
    }
    return {"nodes": {"model.warehouse.mart_x": model}}


def test_columns_that_cannot_be_served_are_all_named() -> None:
    with pytest.raises(UnsupportedColumn) as error:
        marts_of(_manifest(id="Int64", a="Map(String, String)", b="Number", c=None, xmin="Int8"))

    assert [line.split(",")[0] for line in str(error.value).splitlines()] == [
        "mart_x.a is Map(String",
        "mart_x.b is Number",
        "mart_x.xmin: every table of PostgreSQL has a system column xmin. Rename it in the mart's SQL.",
    ]


@pytest.mark.parametrize("jsonb", [["a"], "a"])
def test_a_column_is_served_as_json_if_the_model_or_the_column_asks_for_it(jsonb: object) -> None:
    [mart] = marts_of(_manifest(jsonb, id="Int64", a="Map(String, String)", own="Array(Array(Int8))"))

    assert mart.jsonb == ("a", "own")
