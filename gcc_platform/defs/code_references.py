"""Links from assets to the code that defines them, as Dagster's UI shows them."""

import inspect
from pathlib import Path
from typing import Any

import dagster as dg


def metadata(*references: dg.LocalFileCodeReference) -> dict[str, Any]:
    """The metadata that Dagster reads the references from."""
    return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=list(references))}


def of_file(label: str, path: Path) -> dg.LocalFileCodeReference:
    """A whole file."""
    return dg.LocalFileCodeReference(file_path=str(path), line_number=1, label=label)


def of_class(label: str, defined: type) -> dg.LocalFileCodeReference:
    """The definition of a class."""
    return dg.LocalFileCodeReference(
        file_path=inspect.getfile(defined), line_number=inspect.getsourcelines(defined)[1], label=label
    )
