"""A mart of the proofs in ClickHouse, changed as dbt changes one: keys deleted and inserted again."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from clickhouse_connect.driver.client import Client

from gcc_platform.sync.marts import Mart

Key = tuple[str, str, date]
Row = tuple[Any, ...]

GRAIN = ("platform", "profile_id", "date")
_COLUMNS = {
    "platform": "LowCardinality(String)",
    "profile_id": "String",
    "date": "Date",
    "views": "Nullable(Int64)",
    "rate": "Nullable(Float64)",
    "note": "Nullable(String)",
    "seen": "DateTime64(6, 'UTC')",
    "amount": "Decimal(18, 2)",
    "big": "UInt64",
    "tags": "Array(Nullable(String))",
}
_MONDAY = date(2026, 1, 5)
_WEEKS = 6
_PLATFORMS = ("INSTAGRAM", "YOUTUBE", "TikTok", "")
_NUMBERED = "enable_block_number_column = 1, enable_block_offset_column = 1"

ODD_STRINGS = (
    "", "\\N", "NULL", "null", "tab\tnew\nline", "back\\slash", "\\.", "quo'te", 'dou"ble', "{a,b}", "zwei\u00e4",
    "日本", "\U0001f600", "a\x01b", "\r", " ", "%_%", "~", "\x1f", "=", "nan",
)  # fmt: skip
_ODD_FLOATS = (0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-320, 0.1, 1e308)
_ODD_NUMBERS = (0, -1, 2**63 - 1, -(2**63))


@dataclass
class ProofMart:
    """One mart, as dbt's user changes it."""

    client: Client
    name: str
    chance: random.Random
    is_numbered: bool = True
    """Whether its rows have block numbers."""
    columns: dict[str, str] = field(default_factory=lambda: dict(_COLUMNS))

    def count(self, query: str) -> int:
        """The number that a query answers."""
        [[found]] = self.client.query(query).result_rows
        return int(found)

    @property
    def mart(self) -> Mart:
        """As it is synced."""
        return Mart(self.name, GRAIN)

    @property
    def table(self) -> str:
        """Its name in SQL."""
        return f"warehouse.{self.name}"

    def create(self, name: str | None = None) -> None:
        """Create its table, or another one of the same columns."""
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        settings = f" SETTINGS {_NUMBERED}" if self.is_numbered else ""
        self.run(
            f"CREATE TABLE {name or self.table} ({columns}) ENGINE = MergeTree "
            f"PARTITION BY toMonday(date) ORDER BY ({', '.join(GRAIN)}){settings}"
        )

    def run(self, statement: str, **settings: Any) -> None:
        """Run a statement."""
        self.client.command(statement, settings=settings)

    def all_keys(self) -> list[Key]:
        """In order."""
        found = self.client.query(f"SELECT {', '.join(GRAIN)} FROM {self.table} ORDER BY ALL").result_rows
        return [(str(platform), str(profile), day) for platform, profile, day in found]

    def some_keys(self, most: int) -> list[Key]:
        """Some that exist."""
        keys = self.all_keys()
        return self.chance.sample(keys, min(len(keys), self.chance.randint(1, most)))

    def new_keys(self, count: int) -> list[Key]:
        """Some that do not exist, of all weeks."""
        present = set(self.all_keys())
        found: set[Key] = set()
        while len(found) < count:
            key = self._key()
            if key not in present:
                found.add(key)
        return sorted(found)

    def insert(self, keys: Sequence[Key]) -> None:
        """Rows with random values for these keys, in one insert."""
        rows = [self._row(key) for key in keys]
        if rows:
            self.client.insert(self.name, rows, column_names=list(self.columns), database="warehouse")

    def delete(self, keys: Sequence[Key]) -> None:
        """As dbt's delete_insert does it."""
        if keys:
            listed = ", ".join(f"('{_quoted(p)}', '{_quoted(i)}', '{d}')" for p, i, d in keys)
            self.run(f"DELETE FROM {self.table} WHERE ({', '.join(GRAIN)}) IN ({listed})")

    def rewrite(self, keys: Sequence[Key]) -> None:
        """Delete and insert with other values."""
        self.delete(keys)
        self.insert(keys)

    def drop(self) -> None:
        """Drop the table."""
        self.run(f"DROP TABLE IF EXISTS {self.table} SYNC")

    def moved(self, key: Key) -> Key:
        """The same row in another week."""
        return (key[0], key[1], key[2] + timedelta(days=7 * self.chance.choice((-2, -1, 1, 2))))

    def _key(self) -> Key:
        odd = self.chance.random() < 0.02
        profile = self.chance.choice(ODD_STRINGS) if odd else str(self.chance.randrange(20_000))
        day = _MONDAY + timedelta(days=self.chance.randrange(7 * _WEEKS))
        return (self.chance.choice(_PLATFORMS), profile, day)

    def _row(self, key: Key) -> Row:
        return (*key, *(self._value(kind) for kind in list(self.columns.values())[len(key) :]))

    def _value(self, kind: str) -> Any:
        chance = self.chance
        if kind.startswith("Nullable") and chance.random() < 0.15:
            return None
        bare = kind.removeprefix("Nullable(").removesuffix(")") if kind.startswith("Nullable") else kind
        values: dict[str, Callable[[], Any]] = {
            "Int64": lambda: chance.choice(_ODD_NUMBERS) if chance.random() < 0.05 else chance.randrange(10**6),
            "Float64": lambda: chance.choice(_ODD_FLOATS) if chance.random() < 0.1 else chance.random(),
            "String": lambda: chance.choice(ODD_STRINGS) if chance.random() < 0.2 else f"note {chance.random()}",
            "DateTime64(6, 'UTC')": lambda: (
                datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=chance.randrange(10**13))
            ),
            "Decimal(18, 2)": lambda: Decimal(chance.randrange(-(10**9), 10**9)) / 100,
            "UInt64": lambda: chance.choice((0, 2**64 - 1, chance.randrange(2**64))),
            "Array(Nullable(String))": lambda: [
                chance.choice((*ODD_STRINGS, None)) for _ in range(chance.randrange(3))
            ],
        }
        return values[bare]()


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
