"""The two dbt projects, parsed: their manifests are as new as their files, for every process that loads the code."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from dagster_dbt import DbtProject

from gcc_platform import dagster_home, project
from ingest_service.errors import UserError

DBT = Path(sys.executable).with_name("dbt")
"""Beside this Python: `dbt` need not be on PATH."""

_MADE_BY_DBT = {"target", "logs", "dbt_packages"}
_PARSED = ".parsed"


class UnparsableProject(UserError):
    """dbt refuses a project; the message is dbt's."""


@cache
def dbt_project(name: str) -> DbtProject:
    """`warehouse` or `serving`, with a manifest that is newer than the project's files. Raises UnparsableProject."""
    source = folder(name)
    parsed = DbtProject(project_dir=source, profiles_dir=source, target_path=output_folder(name) / "target")
    with _locked(parsed):
        if _is_stale(parsed):
            _parse(name, parsed)
    return parsed


@cache
def manifest(name: str) -> Mapping[str, Any]:
    """A project's manifest."""
    found: Mapping[str, Any] = json.loads(dbt_project(name).manifest_path.read_bytes())
    return found


def folder(name: str) -> Path:
    """The folder of a project's files."""
    return project.root() / "dbt_project" / name


@cache
def output_folder(name: str) -> Path:
    """The parent of dbt's target/ and logs/: the project itself, or a folder of DAGSTER_HOME where that is read-only.

    The folder in DAGSTER_HOME is named after the project's content, because modification times mean nothing there:
    installed files may be older than the manifest of an earlier release, and two releases may run at once.
    """
    source = folder(name)
    if project.is_writable(source):
        return source
    return dagster_home.location() / "dbt" / f"{name}-{_fingerprint(source)}"


@cache
def fingerprint(name: str) -> str:
    """A short hash of all of a project's files."""
    return _fingerprint(folder(name))


def output_environment(name: str) -> dict[str, str]:
    """The variables by which dbt writes into `output_folder`."""
    output = output_folder(name)
    return {"DBT_TARGET_PATH": str(output / "target"), "DBT_LOG_PATH": str(output / "logs")}


@contextmanager
def _locked(parsed: DbtProject) -> Iterator[None]:
    """`dagster dev` loads the code in several processes at once; one of them parses."""
    target = parsed.manifest_path.parent
    target.mkdir(parents=True, exist_ok=True)
    with (target / ".parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_stale(parsed: DbtProject) -> bool:
    if not parsed.manifest_path.exists():
        return True
    if not parsed.manifest_path.is_relative_to(parsed.project_dir):
        return not (parsed.manifest_path.parent / _PARSED).exists()
    written = parsed.manifest_path.stat().st_mtime
    return any(path.stat().st_mtime >= written for path in _files(parsed.project_dir))


def _files(source: Path) -> Iterator[Path]:
    """The project's files and folders: a folder's time changes when a file is removed."""
    yield source
    for path in source.iterdir():
        if path.name in _MADE_BY_DBT:
            continue
        yield path
        if path.is_dir():
            yield from path.rglob("*")


def _fingerprint(source: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in _files(source) if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(source)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _parse(name: str, parsed: DbtProject) -> None:
    source = str(parsed.project_dir)
    done = subprocess.run(
        [DBT, "--quiet", "--no-use-colors", "parse", "--project-dir", source, "--profiles-dir", source],
        cwd=source,
        env=os.environ | output_environment(name),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnparsableProject(f"dbt cannot parse {source}:\n{done.stdout.strip()}\n{done.stderr.strip()}")
    parsed.manifest_path.touch()  # a partial parse without changes need not have written it
    (parsed.manifest_path.parent / _PARSED).touch()
