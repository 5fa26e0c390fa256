"""The project's own files: the dbt projects, Dagster's settings and the servers' grants. Only this module locates them.

A checkout has them at its root. A wheel carries them in the same layout as `gcc_platform/project_files`: inside the
package they are found beside this file wherever it is installed, and no other distribution can own the same names.
"""

import os
from pathlib import Path

from ingest_service.errors import UserError

VARIABLE = "GCC_PROJECT_DIR"
"""Read from the process's environment alone, as DAGSTER_HOME is: .env belongs to the servers' settings."""

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parent
_INSTALLED = _PACKAGE / "project_files"
_DBT = "dbt_project"


class NotAProject(UserError):
    """A folder lacks files of the project. The message names the folder and the file."""


def root() -> Path:
    """GCC_PROJECT_DIR if it is set, else the checkout that this code is in, else the files of the installed wheel.

    Raises NotAProject.
    """
    if configured := os.environ.get(VARIABLE):
        folder = Path(configured).absolute()
        if not _has_dbt(folder):
            raise NotAProject(
                f"{VARIABLE}={configured} has no folder {_DBT} with the dbt projects. Set it to a checkout of this "
                "project, or unset it to use the files that were installed"
            )
        return folder
    return _CHECKOUT if _has_dbt(_CHECKOUT) else _INSTALLED


def file(name: str) -> Path:
    """A file of the project, by its path below the root. Raises NotAProject."""
    path = root() / name
    if not path.is_file():
        raise NotAProject(f"{root()} has no file {name}; check {VARIABLE}, or install the package again")
    return path


def is_writable(folder: Path) -> bool:
    """Whether tools may write to a folder of the project. They never write to an installed package."""
    return not folder.is_relative_to(_INSTALLED) and os.access(folder, os.W_OK)


def working_directory() -> Path:
    """The folder for data whose place is not configured: the checkout, else the current directory."""
    return _CHECKOUT if _has_dbt(_CHECKOUT) else Path.cwd()


def _has_dbt(folder: Path) -> bool:
    return (folder / _DBT / "warehouse").is_dir()
