"""What can go wrong with the local stack."""


class StackError(Exception):
    """A server cannot be started or stopped. The message names the thing, the value and the way out."""


class Cancelled(StackError):
    """A start was given up because another server failed or somebody interrupted it."""

    def __init__(self) -> None:
        super().__init__("the start was cancelled")
