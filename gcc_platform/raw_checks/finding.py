"""The result of one check of one raw table."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """A check's result. The numbers plot in Dagster."""

    check: str
    passed: bool
    description: str
    """One sentence with the numbers."""
    numbers: Mapping[str, int | float] = field(default_factory=dict)
    is_error: bool = False
    """Whether somebody is paged; otherwise it is a warning."""
