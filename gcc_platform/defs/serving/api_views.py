"""The API's views. dbt builds them when their code, or a mart's columns, or the views themselves have changed."""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg
from dagster_dbt import build_dbt_asset_specs

from gcc_platform.defs import limits
from gcc_platform.defs.resources import PostgresResource
from gcc_platform.defs.serving.assets import MARTS, served
from gcc_platform.defs.warehouse.translator import Translator
from gcc_platform.resources.dbt import Dbt, build_all
from gcc_platform.resources.dbt_project import dbt_project, fingerprint
from gcc_platform.sync import versions
from gcc_platform.sync.views.api_views import Difference, differences, record

_PROJECT = dbt_project("serving")
_STATE = dg.AssetKey(["serving", "freshness"])
"""The view of the sync's state, which each sync changes: it is not an asset of its own."""


def _served(deps: Iterable[dg.AssetDep]) -> Iterator[dg.AssetKey]:
    """What a view reads: marts. That which reads the sync's state has all of them upstream."""
    for dep in deps:
        yield from [served(mart) for mart in MARTS] if dep.asset_key == _STATE else [dep.asset_key]


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.BetaWarning)  # of links to the code; pyproject.toml pins the version
    _SPECS = [
        spec.replace_attributes(
            deps=[*_served(spec.deps)], freshness_policy=limits.of_api_views(), kinds={"dbt", "postgres"}
        )
        for spec in build_dbt_asset_specs(
            manifest=_PROJECT.manifest_path, project=_PROJECT, dagster_dbt_translator=Translator(default_group="api")
        )
    ]
_VIEWS = {spec.key.path[-1]: spec.key for spec in _SPECS}


@dg.multi_asset(
    name="dbt_serving",
    specs=_SPECS,
    check_specs=[
        dg.AssetCheckSpec(
            "as_built",
            asset=key,
            description=f"Nobody has dropped api.{view} or changed its query. If somebody has, this run has built it "
            "again. Grants, comments and options that others have set stay.",
        )
        for view, key in _VIEWS.items()
    ],
)
def api_views(
    context: dg.AssetExecutionContext, dbt_serving: Dbt, postgres: PostgresResource
) -> Iterator[dg.MaterializeResult[Any]]:
    """Build all views if one of them has to be built: dbt takes seconds to start, and no time for a view."""
    code = fingerprint("serving")
    with postgres.connect(f"api views {context.run.run_id[:8]}") as connection:
        versions.create_schemas(connection)
        found = differences(connection, list(_VIEWS), code)
        if found:
            context.log.info("dbt builds the views: %s", "; ".join(f"{each.view}: {each.reason}" for each in found))
            build_all("serving", dbt_serving)
            record(connection, list(_VIEWS), code)
    changed = {each.view: each for each in found}
    for view, key in _VIEWS.items():
        yield dg.MaterializeResult(
            asset_key=key, metadata={"built": bool(found)}, check_results=[_as_built(key, changed.get(view))]
        )


def _as_built(key: dg.AssetKey, difference: Difference | None) -> dg.AssetCheckResult:
    by_hand = difference if difference and difference.by_hand else None
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="as_built",
        passed=by_hand is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{by_hand.reason}. Built again." if by_hand else "as dbt built it",
    )
