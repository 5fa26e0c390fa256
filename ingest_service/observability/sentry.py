"""Sends errors to Sentry if GCC_SENTRY_DSN is set: halts and crashes, without payloads, variables or secrets."""

from importlib.metadata import version

import structlog

from ingest_service.errors import UserError


class SentryMissing(UserError):
    """A DSN is set, but the SDK is not installed."""


def configure(dsn: str) -> None:
    """Send uncaught exceptions, and the log entries that `report` passes on. Raises SentryMissing."""
    try:
        import sentry_sdk  # noqa: PLC0415  an extra: most do without
    except ImportError:
        raise SentryMissing("GCC_SENTRY_DSN is set, but not the SDK: pip install '.[sentry]', or unset it") from None
    sentry_sdk.init(
        dsn=dsn,
        release=version("gcc"),
        default_integrations=True,
        auto_enabling_integrations=False,
        include_local_variables=False,  # message bodies are local variables
        send_default_pii=False,
    )


def report(_logger: object, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """A structlog processor that sends errors to Sentry; without `configure` it does nothing."""
    if method in {"error", "critical", "exception"}:
        import sentry_sdk  # noqa: PLC0415

        with sentry_sdk.new_scope() as scope:
            for name, value in event.items():
                scope.set_extra(name, str(value))
            sentry_sdk.capture_message(str(event["event"]), level="error")
    return event
