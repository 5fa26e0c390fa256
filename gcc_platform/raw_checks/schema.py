"""Schema: the columns of each raw table, compared with those that `gcc-ingest init` creates."""

from collections.abc import Mapping

from gcc_platform.raw_checks.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse

Columns = Mapping[str, str]
"""Types by name."""

_QUERY = "SELECT table, name, type FROM system.columns WHERE database = '_e'"


def measure(clickhouse: ClickHouse) -> Mapping[str, Columns]:
    """The columns of all tables of `_e`, by table."""
    found: dict[str, dict[str, str]] = {}
    for table, name, type_ in clickhouse.rows(_QUERY):
        found.setdefault(str(table), {})[str(name)] = str(type_)
    return found


def check(actual: Columns, expected: Columns) -> Finding:
    """Fails if a column is missing or has another type: the type's inserts are refused. More columns do no harm."""
    missing = [f"{name} ({type_})" for name, type_ in expected.items() if name not in actual]
    added = [f"{name} ({type_})" for name, type_ in actual.items() if name not in expected]
    retyped = [
        f"{name} is {actual[name]} instead of {type_}"
        for name, type_ in expected.items()
        if name in actual and actual[name] != type_
    ]
    parts = [
        f"{what}: {', '.join(names)}"
        for what, names in (("missing", missing), ("retyped", retyped), ("not in the contract", added))
        if names
    ]
    return Finding(
        "schema",
        not missing and not retyped,
        "; ".join(parts) or f"all {len(expected)} columns are as gcc-ingest init creates them",
        {"columns": len(actual), "missing": len(missing), "retyped": len(retyped), "added": len(added)},
        is_error=True,
    )
