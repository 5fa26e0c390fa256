"""DAGSTER_HOME, the folder of Dagster's history: by default `.dagster` in the checkout or the current directory."""

import os
from pathlib import Path

from gcc_platform import project

_VARIABLE = "DAGSTER_HOME"
_CONFIGURATION = "dagster.yaml"
POSTGRES = "DAGSTER_POSTGRES_URL"
"""If it is set, all of Dagster's history is in this database instead of files."""
_WRITTEN = "# Written by gcc-platform, because DAGSTER_POSTGRES_URL is set. Edit the original beside the code.\n"
_STORAGE = f"storage:\n  postgres:\n    postgres_url: {{env: {POSTGRES}}}\n"


def location() -> Path:
    """The folder, which may not exist yet."""
    return Path(os.environ.get(_VARIABLE) or project.working_directory() / ".dagster").absolute()


def dagster_home() -> Path:
    """Create the folder with dagster.yaml in it, and set DAGSTER_HOME for this process and those it starts."""
    home = location()
    os.environ[_VARIABLE] = str(home)
    home.mkdir(parents=True, exist_ok=True)
    _configure(home / _CONFIGURATION, project.root() / _CONFIGURATION)
    return home


def _configure(configuration: Path, original: Path) -> None:
    """Link the project's settings, or write them with another storage: Dagster's YAML knows no conditions.

    A file that somebody else has put there is left alone.
    """
    is_ours = configuration.is_symlink() or not configuration.exists() or configuration.read_text().startswith(_WRITTEN)
    if not is_ours or not original.exists():
        return
    configuration.unlink(missing_ok=True)  # perhaps a link to a folder that has been moved
    if os.environ.get(POSTGRES):
        configuration.write_text(f"{_WRITTEN}{_STORAGE}\n{original.read_text()}")
    else:
        configuration.symlink_to(original)


def dagster_environment() -> dict[str, str]:
    """Variables of Dagster's own processes, besides DAGSTER_HOME.

    With the default of 60 s, a busy machine loses runs: they are marked as failed while their processes start.
    """
    return {"DAGSTER_GRPC_TIMEOUT_SECONDS": os.environ.get("DAGSTER_GRPC_TIMEOUT_SECONDS", "300")}
