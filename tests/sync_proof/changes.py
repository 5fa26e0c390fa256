"""The changes that a history makes to its mart in ClickHouse, as dbt or an operator makes them."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta

from tests.sync_proof.marts import ProofMart

_NOW = {"mutations_sync": 2}


def new_rows(mart: ProofMart) -> None:
    """Rows with new keys, of any week."""
    mart.insert(mart.new_keys(mart.chance.randint(1, 60)))


def rewritten(mart: ProofMart) -> None:
    """Existing keys with other values."""
    mart.rewrite(mart.some_keys(60))


def replayed(mart: ProofMart) -> None:
    """The same rows deleted and inserted again: block numbers change, and no value does."""
    keys = mart.some_keys(40) or mart.new_keys(1)
    copy = f"warehouse.{mart.name}__dbt_new_data"
    listed = ", ".join("('{}', '{}', '{}')".format(*map(_escaped, key)) for key in keys)
    mart.run(f"CREATE OR REPLACE TABLE {copy} ENGINE = Memory AS SELECT * FROM {mart.table} "
             f"WHERE (platform, profile_id, date) IN ({listed})")  # fmt: skip
    mart.delete(keys)
    mart.run(f"INSERT INTO {mart.table} SELECT * FROM {copy}")
    mart.run(f"DROP TABLE {copy}")


def late(mart: ProofMart) -> None:
    """Late events: some days are rewritten and some are new, all of the oldest weeks."""
    old = sorted(mart.all_keys(), key=lambda key: key[2])[:30]
    mart.rewrite(old[: mart.chance.randint(0, len(old))])
    mart.insert(sorted(mart.new_keys(40), key=lambda key: key[2])[:10])


def moved(mart: ProofMart) -> None:
    """Rows that move to another week."""
    present = set(mart.all_keys())
    keys = mart.some_keys(20)
    targets = {mart.moved(key) for key in keys} - present
    mart.delete(keys)
    mart.insert(sorted(targets))


def vanished(mart: ProofMart) -> None:
    """Rows deleted, and none inserted."""
    mart.delete(mart.some_keys(30))


def vanished_elsewhere(mart: ProofMart) -> None:
    """As many rows deleted of one week as are inserted in another: the number of all rows is the same."""
    keys = mart.some_keys(15)
    new = mart.new_keys(len(keys))
    mart.delete(keys)
    mart.insert(new)


def week_vanished(mart: ProofMart) -> None:
    """A partition dropped."""
    weeks = sorted({key[2].toordinal() // 7 for key in mart.all_keys()})
    if len(weeks) > 2:
        day = mart.chance.choice(mart.all_keys())[2]
        mart.run(f"ALTER TABLE {mart.table} DROP PARTITION ID '{week_of(day)}'")


def deleted_by_mutation(mart: ProofMart) -> None:
    """ALTER TABLE ... DELETE."""
    mart.run(f"ALTER TABLE {mart.table} DELETE WHERE cityHash64(profile_id) % 40 = 1", **_NOW)


def changed_in_place(mart: ProofMart) -> None:
    """ALTER TABLE ... UPDATE: it changes no block number."""
    condition = f"cityHash64(profile_id) % 30 = {mart.chance.randrange(30)}"
    mart.run(f"ALTER TABLE {mart.table} UPDATE views = ifNull(views, 0) % 1000 + 1 WHERE {condition}", **_NOW)


def merged(mart: ProofMart) -> None:
    """Everything merged: other parts, the same rows."""
    mart.run(f"OPTIMIZE TABLE {mart.table} FINAL")


def built_again(mart: ProofMart) -> None:
    """dbt --full-refresh: a table with another UUID, whose rows may be the same."""
    other = f"warehouse.{mart.name}__dbt_tmp"
    mart.run(f"DROP TABLE IF EXISTS {other} SYNC")
    mart.create(other)
    condition = mart.chance.choice(("1", "1", "cityHash64(profile_id) % 25 > 0"))
    mart.run(f"INSERT INTO {other} SELECT * FROM {mart.table} WHERE {condition}")
    mart.run(f"EXCHANGE TABLES {other} AND {mart.table}")
    mart.run(f"DROP TABLE {other} SYNC")


def emptied(mart: ProofMart) -> None:
    """TRUNCATE, and other rows."""
    mart.run(f"TRUNCATE TABLE {mart.table}")
    if mart.chance.random() < 0.8:
        mart.insert(mart.new_keys(mart.chance.randint(1, 400)))


def column_added(mart: ProofMart) -> None:
    """A column with a default that is not NULL."""
    name = f"extra_{mart.chance.randrange(10**6)}"
    kind = mart.chance.choice(("Nullable(Int64)", "String", "UInt64"))
    mart.run(f"ALTER TABLE {mart.table} ADD COLUMN {name} {kind} DEFAULT '7'")
    mart.columns[name] = kind
    rewritten(mart)


def column_removed(mart: ProofMart) -> None:
    """One of those that were added."""
    extra = [name for name in mart.columns if name.startswith("extra_")]
    if extra:
        name = mart.chance.choice(extra)
        mart.run(f"ALTER TABLE {mart.table} DROP COLUMN {name}", **_NOW)
        del mart.columns[name]


def column_retyped(mart: ProofMart) -> None:
    """One of those that were added: its values become text, or numbers."""
    extra = [name for name, kind in mart.columns.items() if name.startswith("extra_") and kind != "Nullable(String)"]
    if extra:
        name = mart.chance.choice(extra)
        mart.run(f"ALTER TABLE {mart.table} MODIFY COLUMN {name} Nullable(String) DEFAULT '7'", **_NOW)
        mart.columns[name] = "Nullable(String)"


def nothing(mart: ProofMart) -> None:
    """No change."""


CHANGES: Mapping[Callable[[ProofMart], None], int] = {
    new_rows: 6,
    rewritten: 6,
    replayed: 3,
    late: 3,
    moved: 3,
    vanished: 3,
    vanished_elsewhere: 3,
    week_vanished: 1,
    deleted_by_mutation: 1,
    changed_in_place: 2,
    merged: 3,
    built_again: 1,
    emptied: 1,
    column_added: 1,
    column_removed: 1,
    column_retyped: 1,
    nothing: 2,
}
"""How often each is made, beside the others."""


def make(mart: ProofMart) -> list[str]:
    """One to three of them. Returns their names."""
    chosen = mart.chance.choices(list(CHANGES), list(CHANGES.values()), k=mart.chance.randint(1, 3))
    for change in chosen:
        change(mart)
    return [change.__name__ for change in chosen]


def week_of(day: date) -> str:
    """The partition of a day, as ClickHouse names it."""
    return f"{day - timedelta(days=day.weekday()):%Y%m%d}"


def _escaped(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace("'", "\\'")
