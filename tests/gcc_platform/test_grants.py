"""The files in deploy/grants are enough: for the doctor to check, and for a broker's user to work with."""

import json
import re
from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest

from gcc_platform import grants, project
from gcc_platform.commands import privileges
from gcc_platform.grants import Grant
from gcc_platform.resources import clickhouse, postgres
from tests.harness.management import escaped, management
from tests.harness.running import run

CLICKHOUSE = {
    "ingest": "CLICKHOUSE_URL",
    "dbt": "GCC_DBT_CLICKHOUSE_URL",
    "sync": "GCC_SYNC_CLICKHOUSE_URL",
    "migration": "GCC_MIGRATION_CLICKHOUSE_URL",
}
POSTGRES = {
    "sync": "POSTGRES_URL",
    "dbt": "GCC_DBT_POSTGRES_URL",
    "api": "GCC_READER_POSTGRES_URL",
    "migration": "GCC_MIGRATION_POSTGRES_URL",
}


def test_every_statement_of_clickhouses_grants_is_read() -> None:
    text = re.sub(r"--.*", "", (project.root() / grants.CLICKHOUSE).read_text())
    given = [grant for granted in grants.clickhouse().values() for grant in granted]
    assert {grant.target for grant in given} == set(re.findall(r"\bON ([\w.*]+)", text))
    assert Grant(("SELECT",), "_e.*") in grants.clickhouse()["sync"]
    assert Grant(("TABLE ENGINE",), "Null") in grants.clickhouse()["ingest"]


def test_the_options_of_a_stage_are_for_the_sync_alone_and_not_among_the_grants() -> None:
    for granted in (grants.stage_bucket("https://h.x/b/"), grants.stage_folder()):
        assert [grant.privileges for grant in granted][-1] == ("WRITE",)
        assert not [grant for grant in granted if grant in grants.clickhouse()["sync"]]
    assert grants.stage_bucket("https://h.x/b/")[-1].target == "S3('https://h[.]x/b/.*')"
    text = re.sub(r"--.*", "", (project.root() / grants.STAGE).read_text())
    assert text.count("NOT OVERRIDABLE") == 3


@pytest.mark.parametrize("user", CLICKHOUSE)
def test_a_clickhouse_user_with_its_grants_passes_the_doctors_check(stack: Mapping[str, str], user: str) -> None:
    with clickhouse.connect(stack[CLICKHOUSE[user]], {}) as server:
        found = list(privileges.of_clickhouse(server, "ClickHouse", user))
    assert [finding for finding in found if not finding.ok] == []
    assert len(found) >= 2


def test_a_clickhouse_user_without_them_is_given_the_missing_statement(stack: Mapping[str, str]) -> None:
    with clickhouse.connect(stack["GCC_READER_CLICKHOUSE_URL"], {}) as server:
        wrong = [finding for finding in privileges.of_clickhouse(server, "ClickHouse", "dbt") if not finding.ok]
    assert [finding.message.partition(":")[0] for finding in wrong] == [
        "missing privileges on warehouse.*",
        "missing privileges on *.*",
        "missing privileges on table engines",
    ]
    assert wrong[0].advice.startswith("GRANT CREATE DATABASE ON warehouse.*, CREATE TABLE ON warehouse.*")
    assert "SELECT ON warehouse.*" not in wrong[0].advice
    assert "deploy/grants/clickhouse.sql" in wrong[0].advice


@pytest.mark.parametrize("role", POSTGRES)
def test_a_postgresql_role_with_its_grants_passes_the_doctors_check(stack: Mapping[str, str], role: str) -> None:
    with postgres.connect(stack[POSTGRES[role]], "test") as connection:
        found = list(privileges.of_postgres(connection, "PostgreSQL", role))
    assert [finding for finding in found if not finding.ok] == []
    assert len(found) >= 2


def test_a_postgresql_role_without_them_is_sent_to_the_script(stack: Mapping[str, str]) -> None:
    with postgres.connect(stack["GCC_READER_POSTGRES_URL"], "test") as connection:
        wrong = [finding for finding in privileges.of_postgres(connection, "PostgreSQL", "sync") if not finding.ok]
    assert [finding.message for finding in wrong] == [
        "missing privileges on the database: TEMPORARY",
        "missing privileges on the schema serving_data: CREATE",
        "missing privileges on the schema serving: CREATE",
        "may not act as dbt: a mart is not replaced when a column that the schema api reads is retyped",
    ]
    assert all("deploy/grants/postgres.sql" in finding.advice for finding in wrong)


def test_the_sync_has_none_of_dbts_privileges_until_it_acts_as_dbt(stack: Mapping[str, str]) -> None:
    """PostgreSQL 15 knows no membership without the privileges of the role."""
    with postgres.connect(stack["POSTGRES_URL"], "test") as connection:
        create = "SELECT has_schema_privilege('api', 'CREATE')"
        assert connection.execute(create).fetchone() == (connection.info.server_version < 160000,)
        connection.execute("SET ROLE dbt")
        assert connection.execute(create).fetchone() == (True,)


@pytest.fixture
def broker_user(stack: Mapping[str, str]) -> Iterator[str]:
    """The URL of a user with the permissions of rabbitmq.sh and no others."""
    [permitted] = re.findall(r"^ours='(.*)'$", (project.root() / "deploy/grants/rabbitmq.sh").read_text(), re.MULTILINE)
    management(stack, "PUT", "users/granted", {"password": "granted", "tags": ""})
    permissions = dict.fromkeys(("configure", "write", "read"), permitted)
    management(stack, "PUT", f"permissions/{escaped('/')}/granted", permissions)
    yield f"amqp://granted:granted@{stack['AMQP_URL'].rpartition('@')[2]}"
    management(stack, "DELETE", "users/granted", {})


def test_a_broker_user_with_these_permissions_creates_queues_publishes_and_archives(
    stack: Mapping[str, str], broker_user: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = {**stack, "AMQP_URL": broker_user, "GCC_ARCHIVE_URL": str(tmp_path_factory.mktemp("archive"))}
    event = json.dumps(
        {"event_id": str(uuid4()), "source": "s", "platform": "YOUTUBE", "profile_id": "p"}
        | {"event_timestamp": "2026-01-01 00:00:00", "metrics": {}, "dimensions": {}}
    ).encode()
    for arguments in (("init",), ("publish", "profile_log", "-"), ("archive", "--once")):
        done = run(environment, *arguments, stdin=event)
        assert done.returncode == 0, done.stderr.decode()
