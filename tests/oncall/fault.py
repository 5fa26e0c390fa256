"""A fault: how it is planted and healed, and the alert that must arrive."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.oncall.platform import Platform


@dataclass(frozen=True)
class Fault:
    """One row of the on-call table."""

    name: str
    plant: Callable[[Platform], None]
    heal: Callable[[Platform], None]
    labels: Mapping[str, str]
    """Labels of the alert."""
    seconds: float
    """The alert arrives within this time."""
    text: str = ""
    """What its summary has to say."""
    muted: tuple[str, ...] = ()
    """Alerts that it causes, and that nobody must be notified of."""
    heals_within: float = 120
    is_quick: bool = field(default=False)
    """Part of the short form, in make test."""
    prepare: Callable[[Platform], None] = field(default=lambda _: None)
    """What has to be there before; its time is not counted."""
    needs_a_disk: bool = field(default=False)
    """It fills a disk, which has to be a file system of its own."""
