"""The root of the project, and the folders that are written where nothing else is configured."""

import os
from pathlib import Path

import pytest

from gcc_platform import dagster_home, project
from gcc_platform.resources import dbt_project
from ingest_service.errors import UserError

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GCC_PROJECT_DIR", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.chdir(tmp_path)
    dbt_project.output_folder.cache_clear()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A package without a checkout around it; its files."""
    files = tmp_path / "site-packages" / "gcc_platform" / "project_files"
    (files / "dbt_project" / "warehouse").mkdir(parents=True)
    (files / "dbt_project" / "warehouse" / "dbt_project.yml").write_text("name: warehouse\n")
    monkeypatch.setattr(project, "_CHECKOUT", files.parents[1])
    monkeypatch.setattr(project, "_INSTALLED", files)
    return files


def test_a_checkout_is_its_own_root_and_keeps_dagsters_history_and_dbts_output() -> None:
    assert project.root() == CHECKOUT
    assert dagster_home.location() == CHECKOUT / ".dagster"
    assert dbt_project.output_folder("warehouse") == CHECKOUT / "dbt_project" / "warehouse"


def test_the_variable_comes_before_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine" / "dbt_project" / "warehouse").mkdir(parents=True)
    monkeypatch.setenv("GCC_PROJECT_DIR", "mine")
    assert project.root() == tmp_path / "mine"
    with pytest.raises(UserError, match=r"mine has no file workspace\.yaml"):
        project.file("workspace.yaml")


def test_a_folder_without_dbt_projects_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GCC_PROJECT_DIR", str(tmp_path))
    with pytest.raises(UserError, match=f"GCC_PROJECT_DIR={tmp_path} has no folder dbt_project"):
        project.root()


def test_an_installed_package_uses_its_own_files_and_writes_into_the_current_directory(
    installed: Path, tmp_path: Path
) -> None:
    assert project.root() == installed
    assert dagster_home.location() == tmp_path / ".dagster"
    output = dbt_project.output_folder("warehouse")
    assert output.parent == tmp_path / ".dagster" / "dbt"
    assert dbt_project.output_environment("warehouse") == {
        "DBT_TARGET_PATH": str(output / "target"),
        "DBT_LOG_PATH": str(output / "logs"),
    }


def test_another_release_of_the_project_has_another_output_folder(installed: Path) -> None:
    first = dbt_project.output_folder("warehouse")
    model = installed / "dbt_project" / "warehouse" / "model.sql"
    model.write_text("SELECT 1")
    os.utime(model, (0, 0))  # installed files may be older than what an earlier release has parsed
    dbt_project.output_folder.cache_clear()
    assert dbt_project.output_folder("warehouse") != first
