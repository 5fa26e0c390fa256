"""Each role of each server has a URL, its own or the server's main one, and a malformed one is refused by name."""

from collections.abc import Callable

import pytest

from gcc_platform.resources import postgres
from gcc_platform.settings import Settings, Urls
from ingest_service.urls import BadUrl, MissingUrl

MAIN = {"CLICKHOUSE_URL": "http://main:1", "POSTGRES_URL": "postgresql://main:2/gcc"}
OWN = {
    "GCC_DBT_CLICKHOUSE_URL": "http://dbt:3",
    "GCC_SYNC_CLICKHOUSE_URL": "http://sync:4",
    "GCC_DBT_POSTGRES_URL": "postgresql://dbt:5/gcc",
}
ROLES: dict[str, tuple[Callable[[Urls], str], str]] = {
    "GCC_DBT_CLICKHOUSE_URL": (lambda urls: urls.dbt_clickhouse, "CLICKHOUSE_URL"),
    "GCC_SYNC_CLICKHOUSE_URL": (lambda urls: urls.sync_clickhouse, "CLICKHOUSE_URL"),
    "GCC_DBT_POSTGRES_URL": (lambda urls: urls.dbt_postgres, "POSTGRES_URL"),
    "POSTGRES_URL": (lambda urls: urls.sync_postgres, "POSTGRES_URL"),
}


def urls_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Urls:
    for name in {*MAIN, *OWN}:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings(_env_file=None).urls


@pytest.mark.parametrize("name", ROLES)
def test_a_role_uses_its_own_url_or_else_its_servers_main_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    url, main = ROLES[name]
    assert url(urls_of(monkeypatch, **MAIN)) == MAIN[main]
    assert url(urls_of(monkeypatch, **MAIN, **OWN)) == {**MAIN, **OWN}[name]


@pytest.mark.parametrize("name", ROLES)
def test_without_either_the_main_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    url, main = ROLES[name]
    with pytest.raises(MissingUrl, match=f"^{main} is not set"):
        url(urls_of(monkeypatch))


@pytest.mark.parametrize("name", ROLES)
def test_a_malformed_url_is_refused_by_its_variable_and_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    malformed = {name: "ftp://u:s3cret@h"}
    with pytest.raises(BadUrl, match=f"^{name} ") as refusal:
        urls_of(monkeypatch, **{**MAIN, **malformed}).check()
    assert "s3cret" not in str(refusal.value)


def test_a_url_that_only_libpq_refuses_is_a_bad_url_too() -> None:
    with pytest.raises(BadUrl) as refusal, postgres.connect("postgresql://u:s3%zzcret@127.0.0.1:1/gcc", "test"):
        pass
    assert "s3" not in str(refusal.value)
