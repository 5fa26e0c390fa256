"""Structured logs: for people on a terminal, JSON lines elsewhere. No payloads and no secrets are ever logged."""

import logging
import sys
from collections.abc import Sequence

import structlog


def configure(log_format: str, level: str = "INFO", also: Sequence[structlog.types.Processor] = ()) -> None:
    """Log to stderr; `log_format` is console, json or auto (console on a terminal). `also` sees every entry."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *also,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def silence_libraries() -> None:
    """What the AMQP libraries would log, with tracebacks, our own errors say in a line."""
    for library in ("aiormq", "aio_pika"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
