"""The privileges of each role on each server, read from the SQL in deploy/grants."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcc_platform import project

CLICKHOUSE = "deploy/grants/clickhouse.sql"
STAGE = "deploy/grants/clickhouse_stage.sql"
STAGE_FOLDER = "deploy/grants/clickhouse_stage_folder.sql"
POSTGRES = "deploy/grants/postgres.sql"

_STAGE_URL = "https://bucket.s3.region.amazonaws.com/prefix/"
"""The URL in the file STAGE, which everyone replaces."""

_COMMENT = re.compile(r"--.*")
_CLICKHOUSE_GRANT = re.compile(r"\s*GRANT\s+(?P<privileges>.+?)\s+TO\s+(?P<users>[\w, ]+?)\s*", re.DOTALL)
_CLICKHOUSE_PART = re.compile(r"(?P<privileges>[A-Z, ]+?) ON (?P<target>[\w.*]+(?:\('[^']+'\))?)(?:,\s*|$)")
_OWNED_SCHEMA = re.compile(r"CREATE SCHEMA IF NOT EXISTS (?P<schema>\w+) AUTHORIZATION (?P<role>\w+);")
_SCHEMA_GRANT = re.compile(r"GRANT (?P<privilege>\w+) ON SCHEMA (?P<schema>\w+) TO (?P<roles>[\w, ]+);")
_DATABASE_GRANT = re.compile(r"GRANT (?P<privilege>\w+) ON DATABASE %I TO (?P<roles>[\w, ]+)'")


@dataclass(frozen=True)
class Grant:
    """Privileges on a target: `_e.*` or an engine in ClickHouse; a schema, or None for the database, in PostgreSQL."""

    privileges: Sequence[str]
    target: str | None


def postgres_file() -> Path:
    """The script that creates PostgreSQL's roles. Raises NotAProject."""
    return project.file(POSTGRES)


def clickhouse() -> Mapping[str, Sequence[Grant]]:
    """The grants of each ClickHouse user, in the file's order. Raises NotAProject."""
    return _clickhouse(CLICKHOUSE, _statements(CLICKHOUSE))


def stage_bucket(url: str) -> Sequence[Grant]:
    """What the sync's user needs, besides, to write objects below a URL through the named collection."""
    grants = _statements(STAGE).partition(";")[2]  # the first statement creates the named collection
    return _clickhouse(STAGE, grants.replace(_as_pattern(_STAGE_URL), _as_pattern(url)))["sync"]


def stage_folder() -> Sequence[Grant]:
    """What the sync's user needs, besides, to write files."""
    return _clickhouse(STAGE_FOLDER, _statements(STAGE_FOLDER))["sync"]


def _as_pattern(url: str) -> str:
    return url.replace(".", "[.]")


def _clickhouse(name: str, statements: str) -> Mapping[str, Sequence[Grant]]:
    grants: dict[str, list[Grant]] = {}
    for statement in filter(str.strip, statements.split(";")):
        found = _CLICKHOUSE_GRANT.fullmatch(statement)
        if found is None:
            raise ValueError(f"{name} has a statement that is not a GRANT: {statement.strip()}")
        for user in _names(found["users"]):
            grants.setdefault(user, []).extend(_parts(found["privileges"]))
    return grants


def postgres() -> Mapping[str, Sequence[Grant]]:
    """The grants of each PostgreSQL role on the database and its schemas. Raises NotAProject."""
    grants: dict[str, list[Grant]] = {}
    text = _statements(POSTGRES)
    for found in _DATABASE_GRANT.finditer(text):
        for role in _names(found["roles"]):
            grants.setdefault(role, []).append(Grant((found["privilege"],), None))
    for found in _OWNED_SCHEMA.finditer(text):
        grants.setdefault(found["role"], []).append(Grant(("CREATE",), found["schema"]))
    for found in _SCHEMA_GRANT.finditer(text):
        for role in _names(found["roles"]):
            grants.setdefault(role, []).append(Grant((found["privilege"],), found["schema"]))
    return grants


def _statements(name: str) -> str:
    return _COMMENT.sub("", project.file(name).read_text())


def _names(text: str) -> Sequence[str]:
    return [name.strip() for name in text.split(",")]


def _parts(privileges: str) -> Iterator[Grant]:
    """`INSERT, SELECT ON _e.*, TABLE ENGINE ON Memory` is two grants."""
    for part in _CLICKHOUSE_PART.finditer(" ".join(privileges.split())):
        yield Grant(tuple(_names(part["privileges"])), part["target"])
