"""The result of one check of the doctor."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a check found, with advice if it failed."""

    subject: str
    ok: bool
    message: str
    advice: str = ""
