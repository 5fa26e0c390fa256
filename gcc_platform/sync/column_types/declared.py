"""A mart's columns as its contract declares them: whether PostgreSQL can hold them, known before anything runs."""

from collections.abc import Iterable, Mapping
from typing import Any

from gcc_platform.sync.column_types.refusals import UnsupportedColumn, refusals


def jsonb_columns(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that are served as JSON: `meta.jsonb: [column]` of the model, or `meta.jsonb: true` of a column."""
    listed = model["config"]["meta"].get("jsonb") or ()
    listed = [listed] if isinstance(listed, str) else listed
    own = [name for name, column in model["columns"].items() if column.get("config", {}).get("meta", {}).get("jsonb")]
    return tuple(dict.fromkeys([*listed, *own]))


def check(models: Iterable[Mapping[str, Any]]) -> None:
    """Raise UnsupportedColumn with the reason of every column, of all models, that cannot be served.

    A column without a declared type is checked when it is synced.
    """
    reasons = [reason for model in models for reason in _reasons(model)]
    if reasons:
        raise UnsupportedColumn(reasons)


def _reasons(model: Mapping[str, Any]) -> list[str]:
    declared = [(str(name), str(column.get("data_type") or "String")) for name, column in model["columns"].items()]
    return refusals(str(model["name"]), declared, jsonb_columns(model))
