"""dbt's own documentation builds for both projects, from the databases as they are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.dbt_project import dbt
from tests.dbt_project.conftest import Build

Node = dict[str, Any]


@pytest.fixture(scope="module")
def docs(build: Build, stack: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the warehouse's documentation, after it was built."""
    target = tmp_path_factory.mktemp("docs")
    process = dbt.start(stack, target, "docs", "generate", "--static")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return target


def test_one_page_has_everything(docs: Path) -> None:
    page = (docs / "static_index.html").read_text()
    assert "mart_leaderboard" in page
    assert "Places climbed since the period before" in page


def test_every_mart_is_in_the_catalog_and_its_words_are_in_the_database(docs: Path) -> None:
    """persist_docs: an analyst finds them in system.columns too."""
    described: Node = json.loads((docs / "manifest.json").read_text())["nodes"]
    found: Node = json.loads((docs / "catalog.json").read_text())["nodes"]
    marts = {name: node for name, node in described.items() if name.startswith("model.") and "marts" in node["fqn"]}
    assert len(marts) >= 15
    for name, mart in marts.items():
        words = {column["name"]: column["comment"] for column in found[name]["columns"].values()}
        assert words == {column["name"]: column["description"] for column in mart["columns"].values()}, name
