"""Whether ClickHouse lets inserts be what the ingest service makes them: its settings, the raw tables, their views."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gcc_platform.commands.finding import Finding
from gcc_platform.resources.clickhouse import ClickHouse
from ingest_service.clickhouse.inserts import INSERT_SETTINGS, NEWER_INSERT_SETTINGS
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.schema.dialect import table_settings
from ingest_service.schema.inventory import ledger_view

_TABLE_SETTING = re.compile(r"(\w+) = (\d+)")


@dataclass(frozen=True)
class Effective:
    """A setting as the server has it for this user, and what its profile permits."""

    name: str
    value: str
    readonly: bool
    least: str | None
    most: str | None
    disallowed: Sequence[str]

    def forbids(self, wanted: str) -> str:
        """The constraint that stands against another value, in words; empty where none does."""
        if self.readonly:
            return "the profile lets nobody change it (const, or readonly)"
        if self.least is not None and _number(wanted) < _number(self.least):
            return f"the profile's min is {self.least}"
        if self.most is not None and _number(wanted) > _number(self.most):
            return f"the profile's max is {self.most}"
        if wanted in self.disallowed:
            return f"the profile disallows {', '.join(self.disallowed)}"
        return ""


def examine(server: ClickHouse, subject: str, cluster: str | None) -> Iterator[Finding]:
    """What may stand against inserts of the user that is connected. Raises ClickHouseFailed."""
    yield from _settings(subject, _effective(server))
    yield from _tables(server, subject, cluster)
    yield from _views(server, subject)


def _effective(server: ClickHouse) -> Mapping[str, Effective]:
    rows = server.rows("SELECT name, value, readonly, min, max, disallowed_values FROM system.settings")
    return {row[0]: Effective(row[0], row[1], bool(row[2]), *row[3:]) for row in rows}


def _settings(subject: str, effective: Mapping[str, Effective]) -> Iterator[Finding]:
    """Inserts say these settings themselves. A profile may have others, unless it also forbids to change them."""
    wrong = list(_forbidden(subject, effective))
    yield from wrong
    if (readonly := effective["readonly"].value) != "0":
        wrong.append(Finding(subject, False, f"readonly = {readonly}: inserts are refused", _mend("readonly", "0")))
        yield wrong[-1]
    if not wrong:
        yield Finding(subject, True, f"inserts may say all {len(INSERT_SETTINGS)} settings that they need")


def _forbidden(subject: str, effective: Mapping[str, Effective]) -> Iterator[Finding]:
    for name, value in {**INSERT_SETTINGS, **NEWER_INSERT_SETTINGS}.items():
        wanted, found = str(value), effective.get(name)
        if found is None and name in NEWER_INSERT_SETTINGS:
            continue  # inserts say it only where the server knows it
        if found is None:
            said = f"there is no setting {name}: inserts say {name} = {wanted} and are refused"
            yield Finding(subject, False, said, "use a newer ClickHouse")
        elif not _same(found.value, wanted) and (constraint := found.forbids(wanted)):
            said = f"{name} = {found.value}, inserts need {wanted} and are refused: {constraint}"
            yield Finding(subject, False, said, _mend(name, wanted))


def _mend(name: str, wanted: str) -> str:
    return (
        f"give this user a profile with {name} = {wanted}, or without a constraint on {name} "
        "(its CREATE SETTINGS PROFILE, or users.xml)"
    )


def _tables(server: ClickHouse, subject: str, cluster: str | None) -> Iterator[Finding]:
    """Windows in which an insert's token is known, and whether acknowledged rows are on disk."""
    defaults: dict[str, str] = {row[0]: row[1] for row in server.rows(_DEFAULTS)}
    tables = {f"_e.{name}": engine for name, engine in server.rows(_ENGINES)}
    raw = [event_type.table for event_type in EVENT_TYPES.values() if event_type.table in tables]
    for name, wanted in table_settings(cluster).items():
        own = {table: _table_setting(tables[table], name, defaults) for table in raw}
        less = {table: value for table, value in own.items() if int(value) < wanted}
        if not less:
            continue
        table, value = next(iter(less.items()))
        said = f"{name} = {value} on {_some(less)}, where gcc-ingest init says {wanted}: "
        advice = f"ALTER TABLE {table} MODIFY SETTING {name} = {wanted}"
        if name.startswith("fsync"):  # documented as a choice
            yield Finding(subject, True, said + "a crash of the machine may lose the last seconds of it")
        else:
            yield Finding(subject, False, said + "an insert that is tried again may be there twice", advice)


_DEFAULTS = "SELECT name, value FROM system.merge_tree_settings"
_ENGINES = "SELECT name, engine_full FROM system.tables WHERE database = '_e'"


def _table_setting(engine: str, name: str, defaults: Mapping[str, str]) -> str:
    own: dict[str, str] = dict(_TABLE_SETTING.findall(engine.partition(" SETTINGS ")[2]))
    return own.get(name, defaults.get(name, "0"))


def _views(server: ClickHouse, subject: str) -> Iterator[Finding]:
    """ClickHouse inserts into every view of a table in the same insert: where one fails, all of it does."""
    ours = {event_type.table: ledger_view(event_type) for event_type in EVENT_TYPES.values()}
    views = {f"_e.{name}": list(map(".".join, zip(databases, names, strict=True)))
             for name, databases, names in server.rows(_DEPENDENTS)}  # fmt: skip
    missing = [table for table, view in ours.items() if table in views and view not in views[table]]
    if missing:
        yield Finding(subject, False, f"the ledger has no view of {_some(missing)}", "run gcc-ingest init")
    for table, found in views.items():
        for view in found:
            if view not in ours.values():
                said = f"the view {view} of {table} is not ours: whenever it fails, inserts into {table} halt"
                yield Finding(subject, True, said)


_DEPENDENTS = "SELECT name, dependencies_database, dependencies_table FROM system.tables WHERE database = '_e'"


def _some(names: Iterable[str]) -> str:
    first, *more = names
    return f"{first} and {len(more)} more" if more else first


def _same(value: str, wanted: str) -> bool:
    return value == wanted or {value, wanted} in ({"0", "false"}, {"1", "true"})


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
