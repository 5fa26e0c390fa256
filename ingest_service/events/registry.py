"""The event types there are: one for each module beside this one."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from ingest_service import events
from ingest_service.events.contract import EventType

_NOT_TYPES = {"contract", "registry"}


def _discover() -> dict[str, EventType]:
    found = {}
    for module in iter_modules(events.__path__):
        if module.name in _NOT_TYPES:
            continue
        event_type: EventType = import_module(f"{events.__name__}.{module.name}").EVENT_TYPE
        if event_type.name != module.name:
            raise ValueError(f"events/{module.name}.py declares the event type {event_type.name!r}: name them alike")
        found[event_type.name] = event_type
    return found


EVENT_TYPES: Mapping[str, EventType] = MappingProxyType(_discover())
"""By name, in alphabetical order."""
