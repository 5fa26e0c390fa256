"""Freshness limits of what a refresh builds: `freshness_minutes` in the meta of the dbt models.

dbt_project/warehouse/dbt_project.yml has the default. Raw tables have limits of their own, in the dbt sources.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

import dagster as dg

from gcc_platform.resources.dbt_project import manifest

_META = "freshness_minutes"


def of_mart(name: str) -> dg.FreshnessPolicy | None:
    """The policy of a mart, and of its copy in PostgreSQL; None if its meta has none."""
    return _policy(_meta_of_marts().get(name, {}))


def of_api_views() -> dg.FreshnessPolicy | None:
    """The policy of the API's views: the strictest of all marts."""
    strictest = min(_meta_of_marts().values(), key=lambda meta: meta.get(_META, {}).get("fail", float("inf")))
    return _policy(strictest)


@cache
def _meta_of_marts() -> Mapping[str, Mapping[str, Any]]:
    return {
        node["name"]: node["config"]["meta"]
        for node in manifest("warehouse")["nodes"].values()
        if node["resource_type"] == "model" and "marts" in node["fqn"][:-1]
    }


def _policy(meta: Mapping[str, Any]) -> dg.FreshnessPolicy | None:
    if not (limits := meta.get(_META)):
        return None
    return dg.FreshnessPolicy.time_window(
        warn_window=timedelta(minutes=limits["warn"]), fail_window=timedelta(minutes=limits["fail"])
    )
