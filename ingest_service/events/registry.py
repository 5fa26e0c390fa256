"""The registry of event types: one for each module in types/."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from ingest_service.events import types
from ingest_service.events.contract import EventType


def _discover() -> dict[str, EventType]:
    found = {}
    for module in iter_modules(types.__path__):
        event_type: EventType = import_module(f"{types.__name__}.{module.name}").EVENT_TYPE
        if event_type.name != module.name:
            raise ValueError(f"types/{module.name}.py declares the event type {event_type.name!r}: use the same name")
        found[event_type.name] = event_type
    return found


EVENT_TYPES: Mapping[str, EventType] = MappingProxyType(_discover())
"""By name, in alphabetical order."""
