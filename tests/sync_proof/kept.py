"""What users have made of the views of a mart: own views, grants of every kind, comments, options; whether it stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.sync_proof.servers import Servers

USER, GRANTEE = "proof_user", "proof_grantee"
_PASSWORD = "proof"

_STATE = """
WITH found AS (
    SELECT name AS relation, pg_class.* FROM unnest(%s::text[]) AS name JOIN pg_class ON oid = to_regclass(name)
)
SELECT format('%%s owner %%s', relation, pg_get_userbyid(relowner)) FROM found
UNION ALL SELECT format('%%s grants %%s', relation, item) FROM found, unnest(relacl) AS item
UNION ALL SELECT format('%%s option %%s', relation, item) FROM found, unnest(reloptions) AS item
UNION ALL SELECT format('%%s is %%s', relation, description) FROM found
    JOIN pg_description ON objoid = oid AND classoid = 'pg_class'::regclass AND objsubid = 0
UNION ALL SELECT format('%%s.%%s grants %%s', relation, attname, item) FROM found
    JOIN pg_attribute ON attrelid = oid, unnest(attacl) AS item
UNION ALL SELECT format('%%s.%%s is %%s', relation, attname, description) FROM found
    JOIN pg_attribute ON attrelid = oid
    JOIN pg_description ON objoid = oid AND classoid = 'pg_class'::regclass AND objsubid = attnum
"""


@dataclass(frozen=True)
class Views:
    """The views over one mart."""

    mart: str

    @property
    def relations(self) -> Sequence[str]:
        """What readers read: the mart, a view as dbt makes it, and a user's view over that."""
        return (f"serving.{self.mart}", f"api.{self.mart}", f"proof_user.{self.mart}")

    def state(self, postgres: psycopg.Connection) -> set[str]:
        """Owner, grants, options and comments of all of them, each as a line."""
        return {row[0] for row in postgres.execute(_STATE, (list(self.relations),)).fetchall()}

    def make(self, servers: Servers) -> None:
        """Create them, with everything that can be lost."""
        served, api, own = self.relations
        superuser = servers.superuser
        for role in (USER, GRANTEE):
            if not superuser.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).rowcount:
                superuser.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(_PASSWORD))
                )
            superuser.execute(f"GRANT CONNECT ON DATABASE gcc TO {role}; GRANT USAGE ON SCHEMA api TO {role}".encode())
        # As docs/serving.md asks for: a view is created again as its owner.
        superuser.execute(f"GRANT {USER} TO sync, dbt WITH INHERIT FALSE, SET TRUE".encode())
        superuser.execute(f"CREATE SCHEMA IF NOT EXISTS proof_user AUTHORIZATION {USER}".encode())
        superuser.execute("GRANT USAGE ON SCHEMA proof_user TO api")
        superuser.execute(f"GRANT USAGE ON SCHEMA serving TO {USER}".encode())
        for role, statements in (
            (
                "sync",
                (
                    f"GRANT SELECT ON {served} TO {USER} WITH GRANT OPTION",
                    f"GRANT SELECT (id, v) ON {served} TO {GRANTEE}",
                    f"COMMENT ON VIEW {served} IS 'a comment by hand'",
                    f"COMMENT ON COLUMN {served}.v IS 'a comment on a column'",
                    f"ALTER VIEW {served} SET (security_barrier = true)",
                ),
            ),
            (
                "dbt",
                (
                    f"CREATE VIEW {api} AS SELECT kind, id, v, note FROM {served}",
                    f"COMMENT ON VIEW {api} IS 'as dbt describes it'",
                    f"GRANT SELECT ON {api} TO {USER} WITH GRANT OPTION",
                ),
            ),
            (
                USER,
                (
                    f"GRANT SELECT ON {api} TO {GRANTEE}",
                    f"CREATE VIEW {own} WITH (security_barrier) AS SELECT kind, id, v FROM {api}",
                    f"COMMENT ON VIEW {own} IS 'of the user'",
                    f"GRANT SELECT ON {own} TO api WITH GRANT OPTION",
                    f"GRANT SELECT (id) ON {own} TO {GRANTEE}",
                ),
            ),
        ):
            with superuser.transaction():
                superuser.execute(f"SET LOCAL ROLE {role}".encode())
                for statement in statements:
                    superuser.execute(statement.encode())


def user_url(servers: Servers) -> str:
    """The address of PostgreSQL for the user who has the view."""
    parts = urlsplit(servers.superuser_url)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{USER}:{_PASSWORD}@{address}"))
