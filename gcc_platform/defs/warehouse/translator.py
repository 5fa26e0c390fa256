"""Maps dbt's models and sources to assets: keys, groups, owners and descriptions."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from gcc_platform.defs import limits

# The groups of sources whose tables are assets already: the ingest service's and the sync's.
_SOURCE_GROUPS = {"beat": "raw", "serving": "serving"}


class Translator(DagsterDbtTranslator):
    """Keys are [group, table]. The group is the step of the flow, which for a model is its folder."""

    def __init__(self, default_group: str) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_code_references=True))
        self._default_group = default_group

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The asset of a model or a source."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        resource = self.get_resource_props(manifest, unique_id)
        group = _group(resource) or self._default_group
        described = spec.replace_attributes(
            key=dg.AssetKey([group, resource["name"]]),
            group_name=group,
            description=resource["description"] or spec.description,
            owners=_owners(resource) or spec.owners,
        )
        if group != "marts":
            return described
        return described.replace_attributes(freshness_policy=limits.of_mart(resource["name"]))

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """The check of a test, with the test's description: dagster-dbt reads only the one in its meta."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        described = self.get_resource_props(manifest, unique_id)["description"]
        return spec and spec._replace(description=described or spec.description)


def _group(resource: Mapping[str, Any]) -> str | None:
    if resource["resource_type"] == "source":
        return _SOURCE_GROUPS[resource["source_name"]]
    folders = resource["fqn"][1:-1]
    return folders[0] if folders else None


def _owners(resource: Mapping[str, Any]) -> list[str]:
    owner = resource.get("config", {}).get("meta", {}).get("owner")
    return [owner] if owner else []
