"""What one look at a server found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was found, and the way out where it is not well."""

    subject: str
    ok: bool
    said: str
    advice: str = ""
