"""Checks that the connected user has the privileges that deploy/grants gives to a role."""

from collections.abc import Iterator, Mapping, Sequence

import psycopg

from gcc_platform import grants
from gcc_platform.commands.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse

_ENGINE = "TABLE ENGINE"
_ON_ENGINES = "table engines"


def of_clickhouse(server: ClickHouse, subject: str, user: str) -> Iterator[Finding]:
    """Check each privilege of a ClickHouse user. Raises ClickHouseFailed."""
    for target, rights in _rights(user).items():
        missing = [name for name, right in rights.items() if not _is_granted(server, right)]
        advice = f"GRANT {', '.join(rights[name] for name in missing)} TO this user, or run {grants.CLICKHOUSE}"
        if target == _ON_ENGINES:
            advice = f"run the last GRANT of {grants.CLICKHOUSE}"
        yield _finding(subject, target, list(rights), missing, advice)


def of_postgres(connection: psycopg.Connection, subject: str, role: str) -> Iterator[Finding]:
    """Check each privilege of a PostgreSQL role on the database and its schemas."""
    privileges: dict[str | None, list[str]] = {}
    for grant in grants.postgres()[role]:
        privileges.setdefault(grant.target, []).extend(grant.privileges)
    for schema, wanted in privileges.items():
        target = f"the schema {schema}" if schema else "the database"
        missing = [privilege for privilege in wanted if not _has(connection, privilege, schema)]
        yield _finding(subject, target, wanted, missing, f"run {grants.POSTGRES} as a superuser")
    if role == "sync":
        yield from _api_views(connection, subject)


def _api_views(connection: psycopg.Connection, subject: str) -> Iterator[Finding]:
    """Check that this user may act as the owner of the API's views. PostgreSQL 15 knows no membership without that."""
    row = connection.execute(
        "SELECT pg_get_userbyid(nspowner), pg_has_role(nspowner, CASE "
        "WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END) "
        "FROM pg_namespace WHERE nspname = 'api'"
    ).fetchone()
    if row is None:
        return
    owner, may_act = row
    if may_act:
        yield Finding(subject, True, f"may create the views of the schema api again as {owner}")
    else:
        yield Finding(
            subject,
            False,
            f"may not act as {owner}: a mart is not replaced when a column that the schema api reads is retyped",
            f"run {grants.POSTGRES} as a superuser",
        )


def _rights(user: str) -> Mapping[str, Mapping[str, str]]:
    """What CHECK GRANT takes, by the name to show, by target. The table engines, which are many, are one target."""
    targets: dict[str, dict[str, str]] = {}
    for grant in grants.clickhouse()[user]:
        for privilege in grant.privileges:
            on_engine = privilege == _ENGINE
            target, name = (_ON_ENGINES, grant.target) if on_engine else (grant.target, privilege)
            targets.setdefault(str(target), {})[str(name)] = f"{privilege} ON {grant.target}"
    return targets


def _finding(subject: str, target: str, wanted: Sequence[str], missing: Sequence[str], advice: str) -> Finding:
    if missing:
        return Finding(subject, False, f"missing privileges on {target}: {', '.join(missing)}", advice)
    return Finding(
        subject, True, f"all {len(wanted)} privileges on {target}" if wanted[1:] else f"{wanted[0]} on {target}"
    )


def _is_granted(server: ClickHouse, right: str) -> bool:
    [[granted]] = server.rows(f"CHECK GRANT {right}")
    return str(granted) == "1"


def _has(connection: psycopg.Connection, privilege: str, schema: str | None) -> bool:
    """Whether this user has a privilege. If a schema is missing, the right to create it counts."""
    if schema is None:
        row = connection.execute("SELECT has_database_privilege(current_database(), %s)", [privilege]).fetchone()
    else:
        row = connection.execute(
            "SELECT coalesce((SELECT has_schema_privilege(oid, %s) FROM pg_namespace WHERE nspname = %s),"
            " has_database_privilege(current_database(), 'CREATE'))",
            [privilege, schema],
        ).fetchone()
    return bool(row and row[0])
