"""The marts that are served, read from the warehouse's dbt manifest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gcc_platform.resources.clickhouse import quoted
from gcc_platform.sync.column_types import declared
from gcc_platform.sync.declared_indexes import Index, indexes_of
from ingest_service.errors import UserError


class NoGrain(UserError):
    """A mart declares no grain; the message explains where to declare it."""

    def __init__(self, mart: str) -> None:
        super().__init__(
            f"{mart} has no grain: give it a unique_combination_of_columns test (or meta.grain) in its yml. "
            "The grain becomes the primary key in PostgreSQL."
        )


@dataclass(frozen=True)
class Mart:
    """A table of the warehouse that is served. Its grain, the columns that identify a row, is the primary key."""

    name: str
    grain: tuple[str, ...]
    indexes: tuple[Index, ...] = ()
    """Those besides the primary key."""
    database: str = "warehouse"
    description: str = ""
    rows_of: str = ""
    """The table that has the mart's rows, one for one, if the mart is a view over it (meta.rows_of)."""
    jsonb: tuple[str, ...] = ()
    """The columns that are served as JSON, although they are of another type in ClickHouse."""

    @property
    def table(self) -> str:
        """The table in ClickHouse that has the mart's rows."""
        return self.rows_of or self.name

    @property
    def source(self) -> str:
        """The same, quoted, with its database."""
        return f"{quoted(self.database)}.{quoted(self.table)}"


def marts_of(manifest: Mapping[str, Any]) -> list[Mart]:
    """The models of the folder `marts`, sorted by name. Raises NoGrain, UnsupportedColumn and BadIndex."""
    models = [
        node for node in manifest["nodes"].values() if node["resource_type"] == "model" and "marts" in node["fqn"][:-1]
    ]
    declared.check(models)
    return [_mart(manifest, model) for model in sorted(models, key=lambda model: str(model["name"]))]


def _mart(manifest: Mapping[str, Any], model: Mapping[str, Any]) -> Mart:
    name = str(model["name"])
    grain = model["config"]["meta"].get("grain") or _tested_grain(manifest, model["unique_id"])
    if not grain:
        raise NoGrain(name)
    return Mart(
        name,
        tuple(grain),
        indexes_of(model),
        model["schema"],
        model["description"],
        str(model["config"]["meta"].get("rows_of", "")),
        declared.jsonb_columns(model),
    )


def _tested_grain(manifest: Mapping[str, Any], model_id: str) -> list[str]:
    """The columns of its unique_combination_of_columns test: the grain is declared once and tested on both servers."""
    for node in manifest["nodes"].values():
        if node.get("attached_node") == model_id and node["test_metadata"]["name"] == "unique_combination_of_columns":
            return list(node["test_metadata"]["kwargs"]["combination_of_columns"])
    return []
