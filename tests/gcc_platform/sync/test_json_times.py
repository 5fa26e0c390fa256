"""Text in JSON stays text, or the JSON is refused."""

from collections.abc import Callable

import psycopg
import pytest
import yaml
from clickhouse_connect.driver.client import Client

from gcc_platform import project
from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync.column_types import json_times
from gcc_platform.sync.column_types.columns import columns_of
from gcc_platform.sync.marts import Mart
from gcc_platform.sync.syncing import sync

TIMES = '{"a": "2024-02-30", "b": {"c": ["2024-01-01 10:00:00.5"]}, "d": [{"e": [{"f": "2024-1-1 1:00"}]}], "g": "x"}'


@pytest.mark.parametrize("clickhouse_type", ["JSON", "Nullable(JSON)", "JSON(max_dynamic_paths = 1)"])
def test_json_whose_text_became_times_is_refused_with_its_paths(
    clickhouse_type: str, source: ClickHouse, make_mart: Callable[..., Mart]
) -> None:
    mart = make_mart(f"id Int32, v {clickhouse_type}", f"1, '{TIMES}'")
    columns = columns_of(source, mart.database, mart.name)

    with pytest.raises(json_times.JsonTimes) as error:
        json_times.refuse(source, mart.name, columns, f"FROM warehouse.{mart.name}")
    assert "v: ClickHouse has read text at a, b.c, d[].e[].f as dates or times" in str(error.value)
    json_times.refuse(source, mart.name, columns, f"FROM warehouse.{mart.name} WHERE id > {{id:Int32}}", {"id": 1})


def test_text_that_looks_like_a_time_arrives_as_it_is_if_dbt_built_the_mart(
    source: ClickHouse, target: psycopg.Connection, make_mart: Callable[..., Mart], warehouse: Client
) -> None:
    profile = yaml.safe_load((project.root() / "dbt_project" / "warehouse" / "profiles.yml").read_text())
    for name, value in profile["warehouse"]["outputs"]["default"]["custom_settings"].items():
        warehouse.set_client_setting(name, value)
    mart = make_mart("id Int32, v JSON", f"1, '{TIMES}'")
    columns = columns_of(source, mart.database, mart.name)

    json_times.refuse(source, mart.name, columns, f"FROM warehouse.{mart.name}")
    sync(source, target, mart)

    assert target.execute(f"SELECT v = %s::jsonb FROM serving.{mart.name}", (TIMES,)).fetchall() == [(True,)]
