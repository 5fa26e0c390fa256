"""The wheel is whole: in an environment without the checkout it creates the tables, refreshes and loads in Dagster."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import urllib.parse
import urllib.request
import venv
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gcc_platform.local_stack.ports import pick_free
from gcc_platform.local_stack.process import Command, Process
from tests.dbt_project import dbt

ROOT = Path(__file__).parents[1]
LOCKED = Path(sysconfig.get_path("purelib"))
_PROJECT_FILES = "gcc_platform/project_files"
_TRAVEL = (
    "dbt_project",
    "deploy/grants",
    "deploy/alertmanager",
    "docs/operations.md",
    "workspace.yaml",
    "dagster.yaml",
)
_MADE_BY_TOOLS = {"target", "logs", "dbt_packages", ".user.yml"}
_PROGRAMS_OF_OTHERS = ("dbt", "dagster")

_WHERE = """
import gcc_platform, ingest_service
from gcc_platform import grants, project
print(gcc_platform.__file__, ingest_service.__file__, project.root(), grants.postgres_file().parent, sep="\\n")
assert grants.clickhouse() and grants.postgres()
"""

_LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
    __typename
    ... on RepositoryLocation { repositories { assetNodes { id } } }
    ... on PythonError { message } } } } } }
"""

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel in it, and a folder to work in, both far from the checkout."""

    prefix: Path
    folder: Path
    before: Mapping[str, tuple[int, int]]
    """Size and time of each installed file right after the installation."""

    @property
    def site_packages(self) -> Path:
        [found] = self.prefix.glob("lib/python*/site-packages")
        return found

    def files(self) -> dict[str, tuple[int, int]]:
        found = (path for path in self.site_packages.rglob("*") if "__pycache__" not in path.parts)
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found if path.is_file()}

    def environment(self, stack: Environment) -> dict[str, str]:
        """The servers' URLs and nothing of this process that leads to the checkout."""
        kept = {name: os.environ[name] for name in ("HOME", "TMPDIR", "LANG") if name in os.environ}
        return {**kept, **stack, "PATH": f"{self.prefix / 'bin'}{os.pathsep}{os.defpath}"}

    def run(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.prefix / "bin" / program, *arguments],
            env=self.environment(environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as hatchling builds it from the checkout, without isolation and so without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an empty environment, which borrows the locked packages but not the editable installation.

    The locked site-packages become an entry of sys.path: .pth files in them, the editable installation's among them,
    are not read there.
    """
    prefix, folder = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("elsewhere")
    venv.create(prefix, with_pip=False, symlinks=True)
    uv = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*uv, "--python", prefix / "bin" / "python", wheel], check=True, cwd=folder)
    fresh = Installed(prefix, folder, {})
    (fresh.site_packages / "locked.pth").write_text(f"{LOCKED}\n")
    for name in _PROGRAMS_OF_OTHERS:
        _, _, script = Path(sys.executable).with_name(name).read_text().partition("\n")
        program = prefix / "bin" / name
        program.write_text(f"#!{prefix / 'bin' / 'python'}\n{script}")
        program.chmod(0o755)
    return Installed(prefix, folder, fresh.files())


@pytest.fixture(scope="module")
def initialised(installed: Installed, stack: Environment) -> Environment:
    """The servers after the wheel's `gcc-ingest init`."""
    dbt.forget(stack)
    done = installed.run("gcc-ingest", "init", **stack)
    assert done.returncode == 0, done.stderr
    return stack


def test_the_wheel_has_every_file_of_the_project_and_nothing_that_tools_made(wheel: Path) -> None:
    found = (path for name in _TRAVEL for path in (ROOT / name, *(ROOT / name).rglob("*")) if path.is_file())
    kept = (path.relative_to(ROOT) for path in found)
    expected = {f"{_PROJECT_FILES}/{path}" for path in kept if _MADE_BY_TOOLS.isdisjoint(path.parts)}
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.startswith(_PROJECT_FILES)} == expected
    assert {name.partition("/")[0] for name in names} == {"ingest_service", "gcc_platform", "gcc-0.1.0.dist-info"}


def test_the_code_and_the_projects_files_are_the_wheels(installed: Installed) -> None:
    done = installed.run("python", "-c", _WHERE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(installed.site_packages / "gcc_platform" / "__init__.py"),
        str(installed.site_packages / "ingest_service" / "__init__.py"),
        str(installed.site_packages / "gcc_platform" / "project_files"),
        str(installed.site_packages / "gcc_platform" / "project_files" / "deploy" / "grants"),
    ]


def test_the_commands_explain_themselves(installed: Installed) -> None:
    for program, command in (("gcc-ingest", "init"), ("gcc-platform", "refresh")):
        done = installed.run(program, "--help")
        assert done.returncode == 0, done.stderr
        assert f"\n  {command}" in done.stdout


@pytest.mark.slow
def test_a_refresh_builds_everything_and_writes_into_dagster_home(
    installed: Installed, initialised: Environment
) -> None:
    done = installed.run("gcc-platform", "refresh", **initialised)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "built    api/leaderboard" in done.stdout
    home = installed.folder / ".dagster"
    assert (home / "dagster.yaml").exists()
    assert len(list(home.glob("dbt/*/target/manifest.json"))) == 2


@pytest.mark.slow
def test_dbt_by_hand_uses_the_wheels_project(installed: Installed, initialised: Environment) -> None:
    done = installed.run("gcc-platform", "dbt", "serving", "ls", "--resource-type", "model", **initialised)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "serving.leaderboard" in done.stdout


@pytest.fixture
def dagster(installed: Installed, initialised: Environment) -> Iterator[tuple[Process, int]]:
    """A running `dagster dev`, and its port."""
    [port] = pick_free(1)
    folder = installed.folder / "dagster"
    folder.mkdir()
    server = Process(folder)
    environment = {**installed.environment(initialised), "DAGSTER_HOME": str(installed.folder / ".dagster")}
    argv = ["dev", "-m", "gcc_platform.definitions", "--host", "127.0.0.1", "--port", str(port)]
    server.start(Command([str(installed.prefix / "bin" / "dagster"), *argv], environment))
    yield server, port
    server.stop(signal.SIGINT, seconds=30)


@pytest.mark.slow
def test_dagster_loads_the_definitions(dagster: tuple[Process, int]) -> None:
    server, port = dagster
    server.wait_until(lambda: _locations(port) != [], seconds=240)
    [location] = _locations(port)
    assert location["__typename"] == "RepositoryLocation", location
    assert sum(len(repository["assetNodes"]) for repository in location["repositories"]) > 50


def _locations(port: int) -> list[dict[str, Any]]:
    """The code locations that have loaded, or failed to."""
    url = f"http://127.0.0.1:{port}/graphql?{urllib.parse.urlencode({'query': _LOCATIONS})}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            entries = json.load(answer)["data"]["workspaceOrError"].get("locationEntries", [])
    except OSError:
        return []
    return [entry["locationOrLoadError"] for entry in entries if entry["locationOrLoadError"]]


def test_nothing_was_written_into_the_installation(installed: Installed) -> None:
    assert installed.files() == dict(installed.before)
