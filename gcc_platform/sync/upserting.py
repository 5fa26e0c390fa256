"""Makes rows of a served table equal to those of a temporary one: upserts them by the grain, and deletes the others.

Everything is counted by key range, and so is the change of the ranges' hashes: neither is read from the table again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg
from psycopg import sql

from gcc_platform.sync.column_types.columns import Column
from gcc_platform.sync.key_ranges import KeyRanges
from gcc_platform.sync.layout import grain_broken
from gcc_platform.sync.marts import Mart

SHOWN_KEYS = 5
_RETURNING_OLD = 180000
"""The version of PostgreSQL from which on RETURNING has the row as it was before."""


@dataclass(frozen=True)
class Changes:
    """What has changed in a table, by the number of the range."""

    inserted: Mapping[int, int] = field(default_factory=dict)
    updated: Mapping[int, int] = field(default_factory=dict)
    deleted: Mapping[int, int] = field(default_factory=dict)
    hashes: Mapping[int, int] = field(default_factory=dict)
    """The change of the sum of the rows' hashes."""
    keys: Sequence[str] = ()
    """Of some of the rows."""

    @property
    def counts(self) -> tuple[int, int, int]:
        """Rows inserted, updated and deleted."""
        return sum(self.inserted.values()), sum(self.updated.values()), sum(self.deleted.values())

    def added_to(self, writes: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """The numbers of a state after these changes."""
        inserted, updated, deleted, file = writes
        more = self.counts
        return inserted + more[0], updated + more[1], deleted + more[2], file

    def plus(self, other: "Changes") -> "Changes":
        """Both together."""
        return Changes(
            _sum(self.inserted, other.inserted),
            _sum(self.updated, other.updated),
            _sum(self.deleted, other.deleted),
            _sum(self.hashes, other.hashes),
            [*self.keys, *other.keys][:SHOWN_KEYS],
        )

    def applied_to(self, ranges: KeyRanges) -> KeyRanges:
        """The ranges after the changes. A hash that is not known stays unknown."""
        counted = ranges.with_rows(_sum(self.inserted, {number: -rows for number, rows in self.deleted.items()}))
        return counted.with_hashes(
            {each.number: str(int(each.hash) + self.hashes.get(each.number, 0)) for each in ranges.ranges if each.hash}
        )


@dataclass(frozen=True)
class Target:
    """The table to change."""

    mart: Mart
    table: str
    columns: Sequence[Column]
    ranges: KeyRanges

    @property
    def relation(self) -> sql.Identifier:
        """Its quoted name."""
        return sql.Identifier("serving_data", self.table)

    @property
    def grain(self) -> sql.Composed:
        """The columns of its key."""
        return _names(self.mart.grain)

    @property
    def shown_key(self) -> sql.Composed:
        """A row's key as text."""
        return key_as_text(self.mart)


def key_as_text(mart: Mart) -> sql.Composed:
    """The key of a row of table `t`, as a message shows it."""
    return sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join(sql.Identifier("t", name) for name in mart.grain))


def create_temporary(postgres: psycopg.Connection, name: LiteralString, columns: Sequence[Column]) -> sql.Identifier:
    """A temporary table of these columns, until the end of the transaction."""
    listed = sql.SQL(", ").join(
        sql.SQL("{} " + column.postgres_type).format(sql.Identifier(column.name)) for column in columns
    )
    # An earlier step of the transaction may have made one.
    postgres.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("pg_temp", name)))
    postgres.execute(sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(sql.Identifier(name), listed))
    return sql.Identifier("pg_temp", name)


def upsert(postgres: psycopg.Connection, target: Target, changed: sql.Identifier) -> Changes:
    """Insert or update the rows of a temporary table. Rows that are equal to the last bit are left as they are.

    Raises GrainBroken.
    """
    postgres.execute(sql.SQL("ANALYZE {}").format(changed))
    # Without this, the planner may read all of the table to find a few rows by a hash join.
    postgres.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off")
    has_old = postgres.info.server_version >= _RETURNING_OLD
    before = {} if has_old else _hashes(postgres, target, changed)
    try:
        rows = postgres.execute(_upsert(target, changed, has_old)).fetchall()
    except (psycopg.errors.CardinalityViolation, psycopg.errors.NotNullViolation) as error:
        raise grain_broken(target.mart, error) from None
    hashes: dict[int, int] = {}
    for number, _, _, _, change in rows:
        hashes[number] = hashes.get(number, 0) + int(change or 0)
    if not has_old:
        after = _hashes(postgres, target, changed) if rows else before
        hashes = _sum(after, {number: -value for number, value in before.items()})
    return Changes(
        {number: count for number, is_new, count, _, _ in rows if is_new},
        {number: count for number, is_new, count, _, _ in rows if not is_new},
        {},
        hashes,
        [key for _, _, _, keys, _ in rows for key in keys][:SHOWN_KEYS],
    )


def delete_missing(
    postgres: psycopg.Connection, target: Target, keys: sql.Identifier, numbers: Sequence[int]
) -> Changes:
    """Delete the rows of some ranges whose keys are not in a temporary table."""
    postgres.execute(sql.SQL("ANALYZE {}").format(keys))
    postgres.execute("SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on")
    rows = postgres.execute(
        sql.SQL(
            "WITH deleted AS (DELETE FROM {table} AS t WHERE ({in_ranges}) AND NOT EXISTS "
            "(SELECT FROM {keys} AS kept WHERE ({kept}) = ({own})) "
            "RETURNING {number} AS number, hash_record_extended(t, 0) AS hash, {key} AS key) "
            "SELECT number, count(*), sum(hash), (array_agg(key))[1:{shown}] FROM deleted GROUP BY number"
        ).format(
            table=target.relation,
            in_ranges=sql.SQL(" OR ").join(
                sql.SQL("({})").format(target.ranges.in_postgres(number, "t")) for number in numbers
            ),
            keys=keys,
            kept=sql.SQL(", ").join(sql.Identifier("kept", name) for name in target.mart.grain),
            own=sql.SQL(", ").join(sql.Identifier("t", name) for name in target.mart.grain),
            number=target.ranges.number_of("t"),
            key=target.shown_key,
            shown=sql.Literal(SHOWN_KEYS),
        )
    ).fetchall()
    return Changes(
        {},
        {},
        {number: count for number, count, _, _ in rows},
        {number: -int(hashed) for number, _, hashed, _ in rows},
        [key for _, _, _, keys in rows for key in keys][:SHOWN_KEYS],
    )


def _upsert(target: Target, changed: sql.Identifier, has_old: bool) -> sql.Composed:
    names = [column.name for column in target.columns]
    values = [name for name in names if name not in target.mart.grain]
    # *<> compares the bytes: 0.0 and -0.0 are equal, and not the same.
    action: sql.Composable = sql.SQL("NOTHING")
    if values:
        updates = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in values)
        action = sql.SQL("UPDATE SET {} WHERE t *<> excluded").format(updates)
    return sql.SQL(
        "WITH upserted AS (INSERT INTO {table} AS t ({names}) SELECT {names} FROM {changed} "
        "ON CONFLICT ({grain}) DO {action} "
        "RETURNING t.xmax = 0 AS is_new, {number} AS number, {key} AS key, {change} AS change) "
        "SELECT number, is_new, count(*), (array_agg(key))[1:{shown}], sum(change) FROM upserted "
        "GROUP BY number, is_new"
    ).format(
        table=target.relation,
        names=_names(names),
        changed=changed,
        grain=target.grain,
        action=action,
        number=target.ranges.number_of("t"),
        key=target.shown_key,
        shown=sql.Literal(SHOWN_KEYS),
        # Numeric, because the difference of two bigints may be none.
        change=sql.SQL(
            "hash_record_extended(new, 0)::numeric - coalesce(hash_record_extended(old, 0), 0)" if has_old else "NULL"
        ),
    )


def _hashes(postgres: psycopg.Connection, target: Target, changed: sql.Identifier) -> dict[int, int]:
    """The sum of the hashes of the table's rows that have a key of the temporary table, by range."""
    if not any(each.hash for each in target.ranges.ranges):
        return {}
    rows = postgres.execute(
        sql.SQL(
            "SELECT {number}, sum(hash_record_extended(t, 0)) FROM {changed} JOIN {table} AS t USING ({grain}) "
            "GROUP BY 1"
        ).format(number=target.ranges.number_of("t"), changed=changed, table=target.relation, grain=target.grain)
    ).fetchall()
    return {number: int(hashed) for number, hashed in rows}


def _sum(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    return {number: one.get(number, 0) + other.get(number, 0) for number in {*one, *other}}


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
