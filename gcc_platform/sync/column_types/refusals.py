"""The columns that PostgreSQL cannot hold, why, and the way out."""

from collections.abc import Collection, Iterator, Sequence

from gcc_platform.sync.column_types.clickhouse_types import bare
from gcc_platform.sync.column_types.mapping import scalar
from ingest_service.errors import UserError

NAME_BYTES = 63
"""PostgreSQL cuts longer names."""

SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})

_AS_JSON = frozenset(
    {
        "Array",  # of arrays, or of other types of this list
        "Dynamic",
        "Geometry",
        "LineString",
        "Map",
        "MultiLineString",
        "MultiPolygon",
        "Nested",
        "Point",
        "Polygon",
        "Ring",
        "Tuple",
        "Variant",
    }
)
"""Types without a counterpart that are served as JSON if the mart asks for it."""


class UnsupportedColumn(UserError):
    """Columns have a name or a type that PostgreSQL cannot hold; the message names each, and what to do."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))


def refusals(mart: str, columns: Sequence[tuple[str, str]], jsonb: Collection[str]) -> list[str]:
    """Why columns, given as name and ClickHouse type, cannot be served. `jsonb` has those that are served as JSON."""
    return [*_refusals(mart, columns, jsonb)]


def _refusals(mart: str, columns: Sequence[tuple[str, str]], jsonb: Collection[str]) -> Iterator[str]:
    names = {name for name, _ in columns}
    for name, clickhouse_type in columns:
        if name in SYSTEM_COLUMNS:
            yield f"{mart}.{name}: every table of PostgreSQL has a system column {name}. Rename it in the mart's SQL."
        if (length := len(name.encode())) > NAME_BYTES:
            yield (
                f"{mart}.{name}: the name has {length} bytes, and PostgreSQL cuts names to {NAME_BYTES}. "
                "Shorten it in the mart's SQL."
            )
        yield from _of_type(mart, name, clickhouse_type, is_json=name in jsonb)
    for name in jsonb:
        if name not in names:
            yield f"{mart}: meta.jsonb names the column {name}, which the mart does not have. Correct it in its yml."


def _of_type(mart: str, name: str, clickhouse_type: str, *, is_json: bool) -> Iterator[str]:
    kind = bare(clickhouse_type)
    what = f"{mart}.{name} is {clickhouse_type}, "
    if _has_states(clickhouse_type):
        yield what + f"a state of an aggregate function. Finish it in the mart's SQL: finalizeAggregation({name})."
    elif is_json or is_served(clickhouse_type):
        return
    elif kind.name in _AS_JSON:
        yield what + (
            f"which PostgreSQL does not have. Serve it as JSON (meta.jsonb: [{name}] in the mart's yml), or cast it in "
            f"the mart's SQL, e.g. toString({name}) or toJSONString({name})."
        )
    else:
        yield what + (
            "which the sync does not know. Declare it as ClickHouse writes it (DESCRIBE TABLE), or cast it in the "
            f"mart's SQL, e.g. toString({name})."
        )


def is_served(clickhouse_type: str) -> bool:
    """Whether the type has a counterpart without being asked for."""
    kind = bare(clickhouse_type)
    if kind.name == "Array":
        return bool(kind.arguments) and scalar(kind.arguments[0]) is not None
    return kind.name == "JSON" or scalar(clickhouse_type) is not None


def _has_states(clickhouse_type: str) -> bool:
    return "AggregateFunction(" in clickhouse_type.replace("SimpleAggregateFunction(", "")
