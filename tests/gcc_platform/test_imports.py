"""Imports run one way: each folder imports only what comes before it in the flow, and the sync needs no Dagster."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gcc_platform

PACKAGE = Path(gcc_platform.__file__).parent

ORDER = (
    *("project", "settings", "local_stack", "dagster_home", "resources"),
    *("sync", "defs", "definitions", "commands", "cli"),
)
"""The modules and folders of the package."""


def imports(path: Path) -> Iterator[str]:
    """The modules and folders of the package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "gcc_platform":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gcc_platform."):
            yield str(node.module).split(".")[1]


def test_a_folder_imports_only_what_comes_before_it() -> None:
    wrong = [
        (str(path.relative_to(PACKAGE)), imported)
        for path in PACKAGE.rglob("*.py")
        for imported in imports(path)
        if path.name != "__init__.py"
        and ORDER.index(imported) > ORDER.index(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    ]
    assert wrong == []


def test_only_up_and_the_command_line_use_the_local_stack() -> None:
    users = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "local_stack" not in path.parts and "local_stack" in set(imports(path))
    }
    assert users == {"commands/up.py"}


def test_the_ingest_service_imports_nothing_from_the_platform() -> None:
    files = (PACKAGE.parent / "ingest_service").rglob("*.py")
    assert [str(path) for path in files if set(imports(path))] == []


def test_the_sync_imports_no_dagster() -> None:
    modules = [f"gcc_platform.sync.{path.stem}" for path in (PACKAGE / "sync").glob("*.py") if path.stem != "__init__"]
    code = f"import sys, {', '.join(modules)}; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
