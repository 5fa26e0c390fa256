"""Where Dagster keeps its history: DAGSTER_HOME, or else .dagster/ in the repository."""

import os
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]
_CONFIGURATION = "dagster.yaml"


def dagster_home() -> Path:
    """Make sure that DAGSTER_HOME is set, for this process and those it starts, and that dagster.yaml is there."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(_REPOSITORY / ".dagster")))
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / _CONFIGURATION
    if not configuration.exists() and (_REPOSITORY / _CONFIGURATION).exists():
        configuration.unlink(missing_ok=True)  # a link to where the repository was before
        configuration.symlink_to(_REPOSITORY / _CONFIGURATION)
    return home
