"""The base of all errors that a user can act on."""


class UserError(Exception):
    """An expected error. Its message names the thing, the value and the way out, and holds no secret.

    Commands print the message and exit with `exit_code`; anything else is a defect and ends in a traceback.
    """

    exit_code = 1


class MissingSetting(UserError):
    """A setting that a command needs is not set, and has no default."""

    exit_code = 2
