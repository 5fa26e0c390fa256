"""The two dbt projects, parsed: their manifests are as new as their files, whoever loads the code."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from dagster_dbt import DbtProject

REPOSITORY = Path(__file__).parents[2]
DBT = Path(sys.executable).with_name("dbt")
"""Beside this Python: `dbt` need not be on PATH."""

_MADE_BY_DBT = {"target", "logs", "dbt_packages"}


class UnparsableProject(Exception):
    """dbt refuses a project; the message is dbt's."""


@cache
def dbt_project(name: str) -> DbtProject:
    """`warehouse` or `serving`, with a manifest that is newer than the project's files. Raises UnparsableProject."""
    folder = REPOSITORY / "dbt_project" / name
    project = DbtProject(project_dir=folder, profiles_dir=folder)
    with _alone(project):
        if _is_stale(project):
            _parse(project)
    return project


@cache
def manifest(name: str) -> Mapping[str, Any]:
    """A project's manifest."""
    found: Mapping[str, Any] = json.loads(dbt_project(name).manifest_path.read_bytes())
    return found


@contextmanager
def _alone(project: DbtProject) -> Iterator[None]:
    """`dagster dev` loads the code in several processes at once; one of them parses."""
    folder = project.manifest_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_stale(project: DbtProject) -> bool:
    if not project.manifest_path.exists():
        return True
    written = project.manifest_path.stat().st_mtime
    return any(path.stat().st_mtime >= written for path in _files(project.project_dir))


def _files(folder: Path) -> Iterator[Path]:
    """The project's files and folders: a folder's time tells of files that were taken away."""
    yield folder
    for path in folder.iterdir():
        if path.name in _MADE_BY_DBT:
            continue
        yield path
        if path.is_dir():
            yield from path.rglob("*")


def _parse(project: DbtProject) -> None:
    folder = str(project.project_dir)
    done = subprocess.run(
        [DBT, "--quiet", "--no-use-colors", "parse", "--project-dir", folder, "--profiles-dir", folder],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnparsableProject(f"dbt cannot parse {folder}:\n{done.stdout.strip()}\n{done.stderr.strip()}")
    project.manifest_path.touch()  # a partial parse that found nothing new need not have written it
