"""Links from assets to the code that defines them, as Dagster's UI shows them."""

import inspect
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dagster as dg


def metadata(*references: dg.LocalFileCodeReference) -> dict[str, Any]:
    """The metadata that Dagster reads the references from."""
    with _quiet():
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=list(references))}


def of_file(label: str, path: Path, line: int = 1) -> dg.LocalFileCodeReference:
    """A file, from a line on."""
    with _quiet():
        return dg.LocalFileCodeReference(file_path=str(path), line_number=line, label=label)


def of_class(label: str, defined: type) -> dg.LocalFileCodeReference:
    """The definition of a class."""
    return of_file(label, Path(inspect.getfile(defined)), inspect.getsourcelines(defined)[1])


def _quiet() -> AbstractContextManager[object]:
    """Dagster warns of its beta classes whenever the code loads; pyproject.toml pins the version."""
    return warnings.catch_warnings(action="ignore", category=dg.BetaWarning)
