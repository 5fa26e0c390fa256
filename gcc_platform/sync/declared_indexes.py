"""The indexes that a mart's yml declares for the API's queries: parsed and checked when the definitions load.

An index beyond the grain stands in `config.meta.indexes` of the mart, beside the columns it is made of:

    indexes:
      - keys: [platform, category, audience desc nulls last]
        serves: the discovery page, by audience
      - keys: ["to_tsvector('simple', bio)"]
        method: gin
        serves: search for words

A key is a column, or an expression of columns; after it, as in CREATE INDEX, an operator class and the order. With
`extension`, the index is created only where PostgreSQL has that extension; it may then use its operator class.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest_service.errors import UserError

METHODS = ("btree", "gin", "gist", "brin", "hash")

_KEY = re.compile(
    r"(?P<value>.+?)(?:\s+(?P<operator_class>\w+_ops))?(?P<order>(?:\s+(?:asc|desc))?(?:\s+nulls\s+(?:first|last))?)",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*') | (?P<name>[a-z_][a-z0-9_]*) | (?P<quoted>"[A-Za-z0-9_.]+")
    | (?P<number>\d+) | (?P<open>\() | (?P<close>\)) | (?P<operator>\|\||::|[,+*/-]) | (?P<space>\s+)""",
    re.VERBOSE,
)
_FIELDS = {"keys", "method", "extension", "serves"}


class BadIndex(UserError):
    """A declared index cannot be one; the message names the mart, the index and what is wrong with it."""

    def __init__(self, mart: str, declared: object, reason: str) -> None:
        super().__init__(f"{mart}: its yml declares the index {declared}, but {reason}. Correct meta.indexes.")


@dataclass(frozen=True)
class Key:
    """One key of an index, as CREATE INDEX takes it: the project's own code, checked to be of the mart's columns."""

    value: str
    """A column, or an expression in parentheses."""
    operator_class: str = ""
    order: str = ""

    @property
    def text(self) -> str:
        """The key as it was declared."""
        return " ".join(filter(None, (self.value, self.operator_class, self.order)))


@dataclass(frozen=True)
class Index:
    """An index besides the primary key."""

    keys: tuple[Key, ...]
    method: str = "btree"
    extension: str = ""
    """PostgreSQL's extension that it needs; empty if none."""
    serves: str = field(default="", repr=False, compare=False)
    """The API's queries that it is for."""


def indexes_of(model: Mapping[str, Any]) -> tuple[Index, ...]:
    """The indexes of a mart's node in the manifest, in order. Raises BadIndex."""
    declared = model["config"]["meta"].get("indexes", [])
    if not isinstance(declared, list):
        raise BadIndex(str(model["name"]), declared, "it is not a list")
    return tuple(_index(str(model["name"]), each, model["columns"]) for each in declared)


def _index(mart: str, declared: object, columns: Collection[str]) -> Index:
    if not isinstance(declared, dict) or not isinstance(declared.get("keys"), list) or not declared["keys"]:
        raise BadIndex(mart, declared, "it has no keys: write keys: [column, ...]")
    if unknown := declared.keys() - _FIELDS:
        raise BadIndex(
            mart, declared["keys"], f"it has {', '.join(sorted(unknown))}: known are {', '.join(sorted(_FIELDS))}"
        )
    method = declared.get("method", "btree")
    if method not in METHODS:
        raise BadIndex(mart, declared["keys"], f"its method is {method}: known are {', '.join(METHODS)}")
    if not declared.get("serves"):
        raise BadIndex(mart, declared["keys"], "it does not say which queries it serves")
    keys = tuple(_key(mart, str(each), columns) for each in declared["keys"])
    return Index(keys, method, declared.get("extension", ""), declared["serves"])


def _key(mart: str, declared: str, columns: Collection[str]) -> Key:
    found = _KEY.fullmatch(declared.strip())
    if found is None:
        raise BadIndex(mart, declared, "a key is empty")
    value = found["value"]
    if problem := _problem(value, columns):
        raise BadIndex(mart, declared, problem)
    is_column = value in columns
    order = " ".join(found["order"].split())
    return Key(value if is_column else f"({value})", found["operator_class"] or "", order)


def _problem(value: str, columns: Collection[str]) -> str:
    """Why a key is not an expression of the mart's columns; empty if it is one."""
    place = depth = uses = 0
    after_cast = False
    while place < len(value):
        token = _TOKEN.match(value, place)
        if token is None:
            return f"{value[place:][:20]!r} cannot stand in a key"
        place, kind = token.end(), token.lastgroup
        depth += (kind == "open") - (kind == "close")
        if depth < 0:
            return "a parenthesis is closed that was not opened"
        if kind == "name" and not after_cast and token[0] not in columns and not _is_sql(token[0], value[place:]):
            return f"{token[0]} is not a column of the mart"
        uses += kind == "name" and token[0] in columns
        after_cast = token[0] == "::" or (after_cast and kind == "space")
    if depth:
        return "a parenthesis is not closed"
    return "" if uses else "it uses no column of the mart"


def _is_sql(name: str, rest: str) -> bool:
    """Whether a name is a function's or COLLATE."""
    return rest.lstrip().startswith("(") or name == "collate"
