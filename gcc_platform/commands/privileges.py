"""Checks that the connected user has the privileges that deploy/grants gives to a role."""

from collections.abc import Iterator, Mapping, Sequence

import psycopg

from gcc_platform import grants
from gcc_platform.commands.finding import Finding
from gcc_platform.grants import Grant
from gcc_platform.resources.clickhouse import ClickHouse

_ENGINE = "TABLE ENGINE"


def of_clickhouse(server: ClickHouse, subject: str, user: str) -> Iterator[Finding]:
    """Check each privilege of a ClickHouse user. Raises ClickHouseFailed."""
    for target, granted in _by_target(grants.clickhouse()[user]).items():
        rights = [f"{privilege} ON {grant.target}" for grant in granted for privilege in grant.privileges]
        missing = [right for right in rights if not _is_granted(server, right)]
        yield _finding(subject, target, rights, missing, f"GRANT {', '.join(missing)} TO this user", grants.CLICKHOUSE)


def of_postgres(connection: psycopg.Connection, subject: str, role: str) -> Iterator[Finding]:
    """Check each privilege of a PostgreSQL role on the database and its schemas."""
    for grant in grants.postgres()[role]:
        target = f"the schema {grant.target}" if grant.target else "the database"
        missing = [privilege for privilege in grant.privileges if not _has(connection, privilege, grant.target)]
        yield _finding(subject, target, grant.privileges, missing, "as a superuser", grants.POSTGRES)


def _by_target(granted: Sequence[Grant]) -> Mapping[str, Sequence[Grant]]:
    """The grants by what they are on; those on table engines, of which there are many, together."""
    targets: dict[str, list[Grant]] = {}
    for grant in granted:
        target = "table engines" if _ENGINE in grant.privileges else str(grant.target)
        targets.setdefault(target, []).append(grant)
    return targets


def _finding(
    subject: str, target: str, rights: Sequence[str], missing: Sequence[str], advice: str, file: str
) -> Finding:
    if missing:
        message = f"missing privileges on {target}: {', '.join(missing)}"
        return Finding(subject, False, message, f"{advice}: {file} has all grants")
    return Finding(
        subject, True, f"has all privileges on {target} ({', '.join(rights[:3])}{' ...' * (len(rights) > 3)})"
    )


def _is_granted(server: ClickHouse, right: str) -> bool:
    [[granted]] = server.rows(f"CHECK GRANT {right}")
    return str(granted) == "1"


def _has(connection: psycopg.Connection, privilege: str, schema: str | None) -> bool:
    """Whether this user has a privilege. A schema that is missing counts if the user may create it."""
    if schema is None:
        row = connection.execute("SELECT has_database_privilege(current_database(), %s)", [privilege]).fetchone()
    else:
        row = connection.execute(
            "SELECT coalesce((SELECT has_schema_privilege(oid, %s) FROM pg_namespace WHERE nspname = %s),"
            " has_database_privilege(current_database(), 'CREATE'))",
            [privilege, schema],
        ).fetchone()
    return bool(row and row[0])
