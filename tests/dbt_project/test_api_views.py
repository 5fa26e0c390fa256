"""dbt builds the API's views while they are read, and takes nothing from those who have made something of them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from gcc_platform.local_stack.postgres import SUPERUSER, Postgres
from gcc_platform.local_stack.state import State
from gcc_platform.resources.dbt_environment import dbt_environment
from gcc_platform.resources.dbt_project import folder
from gcc_platform.settings import Settings
from gcc_platform.sync import versions
from tests.gcc_platform.sync import readers
from tests.gcc_platform.sync.served import state

ROWS = 1_000
_SOURCES = "sources: [{name: serving, tables: [{name: dbt_test}]}]\n"
_YML = """
models:
  - name: dbt_test_view
    description: As dbt describes it.
    columns:
      - {name: id, description: The id.}
"""
_MODEL = "with final as (select {columns} from {{{{ source('serving', 'dbt_test') }}}}) select * from final"


@dataclass
class Project:
    """A copy of the project with models of the test's."""

    folder: Path
    environment: Mapping[str, str]

    def select(self, columns: str) -> None:
        (self.folder / "models/dbt_test_view.sql").write_text(_MODEL.format(columns=columns))

    def run(self) -> str:
        options = ["--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        program = str(Path(sys.executable).with_name("dbt"))
        done = subprocess.run(
            [program, "--log-level", "debug", "run", *options],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout


@pytest.fixture
def superuser(stack: Mapping[str, str], stack_folder: Path) -> Iterator[psycopg.Connection]:
    password = State.load(stack_folder / "stack.json").passwords[Postgres.name][SUPERUSER]
    address = stack["POSTGRES_URL"].rpartition("@")[2]
    with psycopg.connect(f"postgresql://{SUPERUSER}:{password}@{address}", autocommit=True) as connection:
        yield connection


@pytest.fixture
def project(stack: Mapping[str, str], superuser: psycopg.Connection, tmp_path: Path) -> Iterator[Project]:
    """The project, a served mart, and roles that make something of its view."""
    with psycopg.connect(stack["POSTGRES_URL"], autocommit=True) as sync:
        versions.create_schemas(sync)
        sync.execute(
            "CREATE TABLE serving_data.dbt_test_rows AS SELECT id, 7 AS version, 'x' AS gone "
            f"FROM generate_series(1, {ROWS}) AS id; "
            "CREATE VIEW serving.dbt_test AS SELECT * FROM serving_data.dbt_test_rows"
        )
    superuser.execute("CREATE ROLE coffee; CREATE ROLE tea; GRANT coffee TO dbt; CREATE SCHEMA cafe AUTHORIZATION coffee")
    shutil.copytree(folder("serving"), tmp_path / "serving", ignore=shutil.ignore_patterns("models", "target", "logs"))
    (tmp_path / "serving/models").mkdir()
    (tmp_path / "serving/models/_sources.yml").write_text(_SOURCES)
    (tmp_path / "serving/models/dbt_test_view.yml").write_text(_YML)
    settings = Settings(
        _env_file=None,
        dbt_clickhouse_url=SecretStr(stack["GCC_DBT_CLICKHOUSE_URL"]),
        dbt_postgres_url=SecretStr(stack["GCC_DBT_POSTGRES_URL"]),
    )
    yield Project(tmp_path / "serving", dbt_environment(settings))
    superuser.execute(
        "DROP VIEW IF EXISTS api.dbt_test_view CASCADE; DROP VIEW serving.dbt_test CASCADE; "
        "DROP TABLE serving_data.dbt_test_rows; DROP OWNED BY coffee, tea CASCADE; DROP ROLE coffee, tea"
    )


@pytest.mark.slow
def test_views_of_dbts_own_materialization_go_over_and_change_while_they_are_read(
    stack: Mapping[str, str], superuser: psycopg.Connection, project: Project
) -> None:
    ours = project.folder / "macros"
    ours.rename(project.folder / "not yet")
    project.select("id, version, gone")
    project.run()
    superuser.execute(
        """
        GRANT SELECT ON api.dbt_test_view TO coffee WITH GRANT OPTION; GRANT USAGE ON SCHEMA api TO coffee;
        GRANT SELECT (id) ON api.dbt_test_view TO tea;
        COMMENT ON COLUMN api.dbt_test_view.version IS 'by hand';
        ALTER VIEW api.dbt_test_view SET (security_barrier = true);
        SET ROLE coffee;
        GRANT SELECT ON api.dbt_test_view TO tea;
        CREATE VIEW cafe.over AS SELECT id, version FROM api.dbt_test_view;
        GRANT USAGE ON SCHEMA cafe TO api; GRANT SELECT ON cafe.over TO api;
        RESET ROLE
        """
    )
    made = {view: state(superuser, view) for view in ("api.dbt_test_view", "cafe.over")}
    oid = superuser.execute("SELECT 'api.dbt_test_view'::regclass::oid").fetchone()

    kinds = {readers.read_committed("api.dbt_test_view"): 2, readers.prepared("cafe.over"): 2}
    (project.folder / "not yet").rename(ours)
    with readers.reading(stack["GCC_READER_POSTGRES_URL"], ROWS, kinds) as seen:
        unchanged = project.run()
        assert superuser.execute("SELECT 'api.dbt_test_view'::regclass::oid").fetchone() == oid
        assert {view: state(superuser, view) for view in made} == made
        project.select("id, version")
        recreated = project.run()

    assert '"api"."dbt_test_view": unchanged' in unchanged
    assert '"api"."dbt_test_view": recreated' in recreated
    after = {view: state(superuser, view) for view in made}
    for found in (made, after):
        del found["api.dbt_test_view"]["query"]
    assert after == made
    assert ("id", "The id.") in after["api.dbt_test_view"]["comments"]
    assert (seen.errors, seen.partial) == ([], [])
    assert seen.longest_seconds < 1.0
