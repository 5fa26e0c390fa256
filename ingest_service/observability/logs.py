"""Structured logs: readable on a terminal, JSON lines elsewhere. Payloads and secrets are never logged.

Names and errors of the broker and of ClickHouse are logged; control characters in them are escaped.
"""

import logging
import sys
from collections.abc import Sequence

import structlog

from ingest_service.observability import safe_text

_OF_SEVERAL_LINES = {"exception", "stack"}


def configure(log_format: str, level: str = "INFO", also: Sequence[structlog.types.Processor] = ()) -> None:
    """Log to stderr; `log_format` is console, json or auto (console on a terminal). `also` processes every entry."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderers: list[structlog.types.Processor] = (
        [_without_controls, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if console
        else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *also,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _without_controls(_logger: object, _method: str, entry: structlog.types.EventDict) -> structlog.types.EventDict:
    """Escape texts: the console renderer writes them unchanged, and other values by their repr, which escapes."""
    for name, value in entry.items():
        if isinstance(value, str):
            entry[name] = safe_text.lines(value) if name in _OF_SEVERAL_LINES else safe_text.line(value)
    return entry


def silence_libraries() -> None:
    """Silence the AMQP libraries: they log with tracebacks what our errors state in one line."""
    for library in ("aiormq", "aio_pika"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
