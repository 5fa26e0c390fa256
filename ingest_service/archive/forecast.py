"""Forecasts which dead letters would be rejected again if they were replayed, by running today's validation."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ingest_service.archive.replay import destination
from ingest_service.archive.table import DeadLetterTable, Selection, StoredDeadLetter
from ingest_service.events.contract import EventType
from ingest_service.events.validation import Reason, Validator
from ingest_service.settings import Settings

_PAGE = 500  # letters in memory


@dataclass
class Forecast:
    """How many of some letters would be rejected, and for how many it is not known."""

    refused: Counter[str] = field(default_factory=Counter)
    """By the reason that validation would give today."""
    not_known: int = 0
    """Letters that validation accepts and the table refused: only an insert would show it."""
    elsewhere: int = 0
    """Letters whose headers name another address than their event type's: they are not replayed."""


class Forecasts:
    """Validates letters page by page, and counts the results by the letters' type and reason."""

    def __init__(self, settings: Settings, to: EventType | None = None) -> None:
        """`to` is the event type that all letters are to be published as; None for each letter's own."""
        self._bounds = settings.bounds()
        self._to = to
        self._validators: dict[str, Validator] = {}
        self._found: dict[tuple[str, str], Forecast] = defaultdict(Forecast)

    async def read(self, table: DeadLetterTable, selection: Selection) -> None:
        """Validate every selected letter. Raises ClickHouseUnavailable."""
        async for page in table.pages(selection, _PAGE):
            self.add(page)

    def add(self, letters: Sequence[StoredDeadLetter]) -> None:
        """Validate letters, sorted by type."""
        for event_type, group in groupby(letters, key=lambda letter: destination(letter, self._to)):
            alike = list(group)
            if event_type is None:
                for letter in alike:
                    self._found[letter.event_type, letter.reason].elsewhere += 1
            else:
                self._add(event_type, alike)

    def of(self, event_type: str, reason: str) -> Forecast:
        """The forecast for the letters of a type and reason."""
        return self._found.get((event_type, reason), Forecast())

    def total(self) -> Forecast:
        """The forecast for all letters."""
        total = Forecast()
        for each in self._found.values():
            total.refused += each.refused
            total.not_known += each.not_known
            total.elsewhere += each.elsewhere
        return total

    def _add(self, event_type: EventType, letters: Sequence[StoredDeadLetter]) -> None:
        refused = self._refused(event_type, [letter.body for letter in letters])
        for position, letter in enumerate(letters):
            found = self._found[letter.event_type, letter.reason]
            if position in refused:
                found.refused[refused[position]] += 1
            elif letter.reason == Reason.REFUSED_BY_TABLE:
                found.not_known += 1

    def _refused(self, event_type: EventType, bodies: Sequence[bytes]) -> Mapping[int, str]:
        if event_type.name not in self._validators:
            self._validators[event_type.name] = Validator(event_type, self._bounds)
        rejected = self._validators[event_type.name].validate(bodies).rejected
        return {position: str(rejection.reason) for position, rejection in rejected}
