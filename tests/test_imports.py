"""Imports run one way, between folders and between packages, and the top of the ingest service stays small."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_imports_follow_the_contracts_of_pyproject() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_top_of_the_ingest_service_has_only_what_belongs_to_no_folder() -> None:
    modules = {path.stem for path in (ROOT / "ingest_service").glob("*.py")} - {"__init__"}
    assert modules == {"service", "supervisor", "settings", "cli", "errors", "urls", "backoff"}
