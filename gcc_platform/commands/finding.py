"""The result of one check of the doctor."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a check found, with advice if it failed or could be better."""

    subject: str
    ok: bool
    message: str
    advice: str = ""
    is_hint: bool = False
    """Nothing is broken, but the advice would make it better."""


def some(names: Iterable[str]) -> str:
    """The first name, and the number of the others."""
    first, *more = names
    return f"{first} and {len(more)} more" if more else first
