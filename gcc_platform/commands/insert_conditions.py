"""Checks of ClickHouse that concern inserts: the user's settings, the raw tables' settings, the views on them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gcc_platform.commands.finding import Finding, some
from gcc_platform.resources.clickhouse import ClickHouse
from ingest_service.clickhouse.inserts import INSERT_SETTINGS, NEWER_INSERT_SETTINGS
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.schema.dialect import table_settings
from ingest_service.schema.inventory import ledger_view

_TABLE_SETTING = re.compile(r"(\w+) = (\d+)")


@dataclass(frozen=True)
class Effective:
    """A setting's value for this user, and the constraints of the user's profile."""

    name: str
    value: str
    readonly: bool
    minimum: str | None
    maximum: str | None
    disallowed: Sequence[str]

    def forbids(self, wanted: str) -> str:
        """Describe the constraint that forbids a value; empty if none does."""
        if self.readonly:
            return "the profile makes it constant (const, or readonly)"
        if self.minimum is not None and _number(wanted) < _number(self.minimum):
            return f"the profile's min is {self.minimum}"
        if self.maximum is not None and _number(wanted) > _number(self.maximum):
            return f"the profile's max is {self.maximum}"
        if wanted in self.disallowed:
            return f"the profile disallows {', '.join(self.disallowed)}"
        return ""


def examine(server: ClickHouse, subject: str, cluster: str | None) -> Iterator[Finding]:
    """Check the conditions of the connected user's inserts. Raises ClickHouseFailed."""
    yield from _settings(subject, _effective(server))
    yield from _tables(server, subject, cluster)
    yield from _views(server, subject)


def _effective(server: ClickHouse) -> Mapping[str, Effective]:
    rows = server.rows("SELECT name, value, readonly, min, max, disallowed_values FROM system.settings")
    return {row[0]: Effective(row[0], row[1], bool(row[2]), *row[3:]) for row in rows}


def _settings(subject: str, effective: Mapping[str, Effective]) -> Iterator[Finding]:
    """Inserts set these settings themselves. A profile may have other values, unless it forbids changing them."""
    wrong = list(_forbidden(subject, effective))
    yield from wrong
    if (readonly := effective["readonly"].value) != "0":
        wrong.append(Finding(subject, False, f"readonly = {readonly}: inserts are refused", _advice("readonly", "0")))
        yield wrong[-1]
    if not wrong:
        yield Finding(subject, True, f"inserts may set all {len(INSERT_SETTINGS)} settings that they need")


def _forbidden(subject: str, effective: Mapping[str, Effective]) -> Iterator[Finding]:
    for name, value in {**INSERT_SETTINGS, **NEWER_INSERT_SETTINGS}.items():
        wanted, found = str(value), effective.get(name)
        if found is None and name in NEWER_INSERT_SETTINGS:
            continue  # inserts set it only if the server knows it
        if found is None:
            message = f"the server has no setting {name}: inserts set {name} = {wanted} and are refused"
            yield Finding(subject, False, message, "use a newer ClickHouse")
        elif not _same(found.value, wanted) and (constraint := found.forbids(wanted)):
            message = f"{name} = {found.value}, inserts need {wanted} and are refused: {constraint}"
            yield Finding(subject, False, message, _advice(name, wanted))


def _advice(name: str, wanted: str) -> str:
    return (
        f"give this user a profile with {name} = {wanted}, or without a constraint on {name} "
        "(its CREATE SETTINGS PROFILE, or users.xml)"
    )


def _tables(server: ClickHouse, subject: str, cluster: str | None) -> Iterator[Finding]:
    """Check how long insert tokens are remembered, and whether acknowledged rows are on disk."""
    defaults: dict[str, str] = {row[0]: row[1] for row in server.rows(_DEFAULTS)}
    tables = {f"_e.{name}": engine for name, engine in server.rows(_ENGINES)}
    raw = {each.table: tables[each.table] for each in EVENT_TYPES.values() if each.table in tables}
    for is_replicated in (False, True):
        alike = {table: engine for table, engine in raw.items() if engine.startswith(_REPLICATED) is is_replicated}
        for name, wanted in table_settings(is_replicated=is_replicated).items() if alike else ():
            own = {table: int(_table_setting(engine, name, defaults)) for table, engine in alike.items()}
            yield _table_finding(subject, name, wanted, own, f" ON CLUSTER '{cluster}'" if cluster else "")


def _table_finding(subject: str, name: str, wanted: int, own: Mapping[str, int], on_cluster: str) -> Finding:
    less = {table: value for table, value in own.items() if value < wanted}
    if not less:
        values = " and ".join(map(str, sorted(set(own.values()))))
        return Finding(subject, True, f"{name} = {values} on {len(own)} raw tables, gcc-ingest init sets {wanted}")
    table, value = next(iter(less.items()))
    message = f"{name} = {value} on {some(less)}, gcc-ingest init sets {wanted}: "
    if name.startswith("fsync"):  # documented as a choice
        return Finding(subject, True, message + "a crash of the machine may lose its last seconds")
    advice = f"ALTER TABLE {table}{on_cluster} MODIFY SETTING {name} = {wanted}"
    return Finding(subject, False, message + "a retried insert may be stored twice", advice)


_REPLICATED = ("Replicated", "Shared")
"""What the names of replicating engines begin with, ClickHouse Cloud's too: another setting is their window."""
_DEFAULTS = "SELECT name, value FROM system.merge_tree_settings"
_ENGINES = "SELECT name, engine_full FROM system.tables WHERE database = '_e'"


def _table_setting(engine: str, name: str, defaults: Mapping[str, str]) -> str:
    own: dict[str, str] = dict(_TABLE_SETTING.findall(engine.partition(" SETTINGS ")[2]))
    return own.get(name, defaults.get(name, "0"))


def _views(server: ClickHouse, subject: str) -> Iterator[Finding]:
    """ClickHouse inserts into every view of a table within the same insert: one that fails, fails the insert."""
    ours = {event_type.table: ledger_view(event_type) for event_type in EVENT_TYPES.values()}
    views = {f"_e.{name}": list(map(".".join, zip(databases, names, strict=True)))
             for name, databases, names in server.rows(_DEPENDENTS)}  # fmt: skip
    missing = [table for table, view in ours.items() if table in views and view not in views[table]]
    if missing:
        yield Finding(subject, False, f"the ledger has no view of {some(missing)}", "run gcc-ingest init")
    for table, found in views.items():
        for view in found:
            if view not in ours.values():
                message = f"the view {view} of {table} is not ours: if it fails, inserts into {table} halt"
                yield Finding(subject, True, message)


_DEPENDENTS = "SELECT name, dependencies_database, dependencies_table FROM system.tables WHERE database = '_e'"


def _same(value: str, wanted: str) -> bool:
    return value == wanted or {value, wanted} in ({"0", "false"}, {"1", "true"})


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
