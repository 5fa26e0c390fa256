"""A mart of few columns and any size, made inside ClickHouse; readers can check in one query that it is complete."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from gcc_platform.sync.marts import Mart

GRAIN = ("kind", "id")
Totals = tuple[int, int, int]

TOTALS = "count(*), coalesce(sum(v), 0)::bigint, coalesce(sum(v * length(id)), 0)::bigint"
"""In PostgreSQL: they differ as soon as a row is missing, is there twice, or has another value."""
_TOTALS = "count(), sum(v), sum(v * toInt64(length(id)))"


@dataclass(frozen=True)
class SimpleMart:
    """One such mart."""

    client: Client
    name: str
    chance: random.Random

    @property
    def mart(self) -> Mart:
        """As it is synced."""
        return Mart(self.name, GRAIN)

    @property
    def table(self) -> str:
        """Its name in SQL."""
        return f"warehouse.{self.name}"

    def create(self, rows: int) -> None:
        """Create and fill it."""
        self.drop()
        self._create(self.table)
        self._insert(self.table, f"SELECT number AS n FROM numbers({rows})")

    def _create(self, table: str) -> None:
        self.client.command(
            f"CREATE TABLE {table} (kind String, id String, v Int64, note Int64) ENGINE = MergeTree "
            "PARTITION BY cityHash64(id) % 4 ORDER BY (kind, id) "
            "SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1"
        )

    def _insert(self, table: str, numbers: str) -> None:
        salt = self.chance.randrange(10**9)
        self.client.command(
            f"INSERT INTO {table} (kind, id, v, note) SELECT ['post', 'profile'][1 + n % 2], toString(n), "
            f"toInt64(cityHash64(n, {salt}) % 1000), toInt64(n % 10) FROM ({numbers})"
        )

    def rewrite(self, ids: Sequence[int]) -> None:
        """Delete and insert these again, with other values."""
        self.delete(ids)
        self._insert(self.table, f"SELECT arrayJoin({list(ids)}) AS n")

    def delete(self, ids: Sequence[int]) -> None:
        """Delete these."""
        listed = ", ".join(f"'{each}'" for each in ids)
        self.client.command(f"DELETE FROM {self.table} WHERE id IN ({listed})")

    def refresh(self, rows: int) -> None:
        """Some are rewritten, some are new, some vanish: as many in all."""
        self.rewrite(self.chance.sample(range(rows), max(1, rows // 40)))
        self.delete(self.chance.sample(range(rows), max(1, rows // 200)))

    def build_again(self) -> None:
        """The same rows in a table with another UUID, and one of them with another value."""
        other = f"{self.table}__dbt_tmp"
        self.client.command(f"DROP TABLE IF EXISTS {other} SYNC")
        self.client.command(f"CREATE TABLE {other} AS {self.table}")
        self.client.command(f"INSERT INTO {other} SELECT * REPLACE (if(id = '7', v + 1, v) AS v) FROM {self.table}")
        self.client.command(f"EXCHANGE TABLES {other} AND {self.table}")
        self.client.command(f"DROP TABLE {other} SYNC")

    def alter(self, change: str) -> None:
        """Change its columns."""
        self.client.command(f"ALTER TABLE {self.table} {change}", settings={"mutations_sync": 2, "alter_sync": 2})

    def totals(self) -> Totals:
        """What a reader of PostgreSQL finds if it sees all of these rows."""
        [[count, values, weighed]] = self.client.query(f"SELECT {_TOTALS} FROM {self.table}").result_rows
        return int(count), int(values), int(weighed)

    def drop(self) -> None:
        """Drop the table."""
        self.client.command(f"DROP TABLE IF EXISTS {self.table} SYNC")
