"""What would become of letters that are published again, as far as today's admission can tell."""

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
    """Of some letters: how many would be refused, and how many nobody can tell."""

    refused: Counter[str] = field(default_factory=Counter)
    """By the reason that admission would give today."""
    not_known: int = 0
    """Admission takes them, and did when their table refused them: only the table can tell."""
    elsewhere: int = 0
    """Their headers name an address that is not their event type's: they are not published."""


class Forecasts:
    """Today's admission, run over letters page by page; what it found by the letters' type and reason."""

    def __init__(self, settings: Settings, to: EventType | None = None) -> None:
        """`to` is the event type that all of them are to be published as, if not each as its own."""
        self._bounds = settings.bounds()
        self._to = to
        self._validators: dict[str, Validator] = {}
        self._found: dict[tuple[str, str], Forecast] = defaultdict(Forecast)

    async def read(self, table: DeadLetterTable, selection: Selection) -> None:
        """Look at every selected letter. Raises ClickHouseUnavailable."""
        async for page in table.pages(selection, _PAGE):
            self.add(page)

    def add(self, letters: Sequence[StoredDeadLetter]) -> None:
        """Look at some letters, in the order of their types."""
        for event_type, group in groupby(letters, key=lambda letter: destination(letter, self._to)):
            alike = list(group)
            if event_type is None:
                for letter in alike:
                    self._found[letter.event_type, letter.reason].elsewhere += 1
            else:
                self._add(event_type, alike)

    def of(self, event_type: str, reason: str) -> Forecast:
        """Of the letters of a type and reason."""
        return self._found.get((event_type, reason), Forecast())

    def total(self) -> Forecast:
        """Of all of them."""
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
