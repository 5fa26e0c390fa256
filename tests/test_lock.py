"""What is installed is what was locked, file by file. Known vulnerabilities are for `make audit`, which asks PyPI."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
UV = ROOT / "gcc_platform" / "local_stack" / "uv.txt"
LOCKED = re.compile(r"([a-z0-9-]+)==([^ ]+)(?: ; (.+))?((?: --hash=sha256:[0-9a-f]{64})+)")


def entries(file: Path) -> list[str]:
    """The file's entries, each in one line, without comments."""
    text = re.sub(r"^ *#.*\n", "", file.read_text(), flags=re.MULTILINE)
    return re.sub(r" \\\n +", " ", text).splitlines()


def locked() -> Mapping[str, Requirement]:
    """The locked packages that this Python on this machine needs, by name."""
    found = {}
    for entry in entries(LOCK):
        requirement = Requirement(entry.partition(" --hash=")[0])
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = requirement
    return found


@pytest.mark.parametrize("file", [LOCK, UV], ids=lambda file: file.name)
def test_every_package_is_locked_to_a_version_and_the_hashes_of_its_files_and_to_no_place(file: Path) -> None:
    assert entries(file)
    assert [entry for entry in entries(file) if not LOCKED.fullmatch(entry)] == []


def test_the_lock_has_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked_extras = ("sentry", "platform", "local", "dev")
    asked = [
        *project["dependencies"],
        *(each for name in locked_extras for each in project["optional-dependencies"][name]),
    ]
    versions = {name: next(iter(requirement.specifier)).version for name, requirement in locked().items()}
    for requirement in map(Requirement, asked):
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_what_is_installed_is_what_is_locked_and_fits_together() -> None:
    assert {name: f"=={version(name)}" for name in locked()} == {
        name: str(requirement.specifier) for name, requirement in locked().items()
    }
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run([uv, "pip", "check", "--python", sys.executable], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
