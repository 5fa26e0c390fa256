"""The errors of the local stack."""

from ingest_service.errors import UserError


class StackError(UserError):
    """A server cannot be started or stopped."""


class Cancelled(StackError):
    """A start was cancelled because another server failed, or by an interrupt."""

    def __init__(self) -> None:
        super().__init__("the start was cancelled")
