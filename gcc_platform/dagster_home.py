"""DAGSTER_HOME, the folder of Dagster's history: by default `.dagster` in the checkout or the current directory."""

import os
from pathlib import Path

from gcc_platform import project

_VARIABLE = "DAGSTER_HOME"
_CONFIGURATION = "dagster.yaml"


def location() -> Path:
    """The folder, which may not exist yet."""
    return Path(os.environ.get(_VARIABLE) or project.working_directory() / ".dagster").absolute()


def dagster_home() -> Path:
    """Create the folder with dagster.yaml in it, and set DAGSTER_HOME for this process and those it starts."""
    home = location()
    os.environ[_VARIABLE] = str(home)
    home.mkdir(parents=True, exist_ok=True)
    configuration, original = home / _CONFIGURATION, project.root() / _CONFIGURATION
    if not configuration.exists() and original.exists():
        configuration.unlink(missing_ok=True)  # a link to a folder that has been moved
        configuration.symlink_to(original)
    return home


def dagster_environment() -> dict[str, str]:
    """Variables of Dagster's own processes, besides DAGSTER_HOME.

    With the default of 60 s, a busy machine loses runs: they are marked as failed while their processes start.
    """
    return {"DAGSTER_GRPC_TIMEOUT_SECONDS": os.environ.get("DAGSTER_GRPC_TIMEOUT_SECONDS", "300")}
