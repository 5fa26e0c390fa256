"""URLs become what dbt's profiles read, defaults and special characters included."""

import socket

import pytest
import yaml

from gcc_platform import project
from gcc_platform.resources.dbt_environment import dbt_environment
from gcc_platform.settings import Settings
from ingest_service.settings import Settings as IngestSettings
from ingest_service.urls import BadUrl, MissingUrl

CLICKHOUSE = "http://dbt:secret@clickhouse:8124"
POSTGRES = "postgresql://dbt:secret@postgres:5433/gcc"


@pytest.fixture(autouse=True)
def _no_urls_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLICKHOUSE_URL", "POSTGRES_URL", "GCC_DBT_CLICKHOUSE_URL", "GCC_DBT_POSTGRES_URL"):
        monkeypatch.delenv(name, raising=False)


def environment(clickhouse: str = CLICKHOUSE, postgres: str = POSTGRES) -> dict[str, str]:
    settings = Settings(_env_file=None, dbt_clickhouse_url=clickhouse, dbt_postgres_url=postgres)
    return dbt_environment(settings)


def test_every_part_of_both_urls_has_its_variable() -> None:
    assert environment() == {
        "DBT_CLICKHOUSE_HOST": "clickhouse",
        "DBT_CLICKHOUSE_PORT": "8124",
        "DBT_CLICKHOUSE_USER": "dbt",
        "DBT_CLICKHOUSE_PASSWORD": "secret",
        "DBT_CLICKHOUSE_SECURE": "0",
        "DBT_CLICKHOUSE_CLUSTER": "",
        "DBT_LEGACY_TABLES": "",
        "DBT_POSTGRES_HOST": "postgres",
        "DBT_POSTGRES_PORT": "5433",
        "DBT_POSTGRES_USER": "dbt",
        "DBT_POSTGRES_PASSWORD": "secret",
        "DBT_POSTGRES_DBNAME": "gcc",
        "DBT_POSTGRES_SSLMODE": "prefer",
        "PGOPTIONS": "-c lock_timeout=20s -c statement_timeout=300s",
    }


def test_one_setting_names_the_cluster_of_the_raw_tables_and_of_the_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCC_CLICKHOUSE_CLUSTER", "analytics")
    platform = Settings(_env_file=None, clickhouse_url=CLICKHOUSE, postgres_url=POSTGRES)
    assert dbt_environment(platform)["DBT_CLICKHOUSE_CLUSTER"] == "analytics"
    assert IngestSettings(_env_file=None).clickhouse_cluster == "analytics"
    profile = yaml.safe_load((project.root() / "dbt_project" / "warehouse" / "profiles.yml").read_text())
    assert "env_var('DBT_CLICKHOUSE_CLUSTER'" in profile["warehouse"]["outputs"]["default"]["cluster"]


def test_users_and_passwords_are_percent_decoded() -> None:
    result = environment("http://d%40t:p%2Fw%3A%25@h", "postgresql://d%40t:p%2Fw%3A%25@h/my%20db")
    for server in ("CLICKHOUSE", "POSTGRES"):
        assert result[f"DBT_{server}_USER"] == "d@t"
        assert result[f"DBT_{server}_PASSWORD"] == "p/w:%"
    assert result["DBT_POSTGRES_DBNAME"] == "my db"


@pytest.mark.parametrize(("scheme", "port", "secure"), [("http", "8123", "0"), ("https", "8443", "1")])
def test_the_scheme_decides_on_tls_and_the_default_port(scheme: str, port: str, secure: str) -> None:
    result = environment(clickhouse=f"{scheme}://clickhouse")
    assert (result["DBT_CLICKHOUSE_PORT"], result["DBT_CLICKHOUSE_SECURE"]) == (port, secure)
    assert (result["DBT_CLICKHOUSE_USER"], result["DBT_CLICKHOUSE_PASSWORD"]) == ("default", "")


def test_postgres_defaults_are_libpqs() -> None:
    result = environment(postgres="postgres://dbt@postgres")
    assert result["DBT_POSTGRES_PORT"] == "5432"
    assert result["DBT_POSTGRES_DBNAME"] == "dbt"
    assert result["DBT_POSTGRES_PASSWORD"] == ""


def test_sslmode_comes_from_the_query() -> None:
    assert environment(postgres=f"{POSTGRES}?sslmode=require")["DBT_POSTGRES_SSLMODE"] == "require"


def test_dbts_role_falls_back_to_the_servers_main_url() -> None:
    settings = Settings(_env_file=None, clickhouse_url="http://main", postgres_url=POSTGRES)
    assert dbt_environment(settings)["DBT_CLICKHOUSE_HOST"] == "main"


def test_a_missing_url_is_named() -> None:
    with pytest.raises(MissingUrl, match="POSTGRES_URL"):
        dbt_environment(Settings(_env_file=None, clickhouse_url=CLICKHOUSE))


@pytest.mark.parametrize(
    ("clickhouse", "postgres"),
    [
        ("clickhouse://u:hush@h", POSTGRES),
        ("http://", POSTGRES),
        (CLICKHOUSE, "mysql://u:hush@h"),
        (CLICKHOUSE, "postgres:///gcc"),
    ],
)
def test_an_unusable_url_is_refused_without_repeating_its_password(clickhouse: str, postgres: str) -> None:
    with pytest.raises(BadUrl) as refusal:
        environment(clickhouse, postgres)
    assert "hush" not in str(refusal.value)
    assert "GCC_DBT_" in str(refusal.value)


def test_of_several_hosts_dbt_is_given_one_of_clickhouse_that_answers_and_all_of_postgres() -> None:
    with socket.create_server(("127.0.0.1", 0)) as answering, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (silent, answering)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        for _ in range(8):
            found = environment(f"http://dbt:secret@{hosts}", "postgresql://dbt:secret@one:5433,two:5433/gcc")
            assert found["DBT_CLICKHOUSE_PORT"] == str(ports[1])
    assert (found["DBT_POSTGRES_HOST"], found["DBT_POSTGRES_PORT"]) == ("one,two", "5433")
    assert found["PGTARGETSESSIONATTRS"] == "read-write"


def test_dbt_has_one_port_for_all_hosts_of_postgres() -> None:
    with pytest.raises(BadUrl, match="different ports"):
        environment(postgres="postgresql://dbt:secret@one:5433,two:5434/gcc")
