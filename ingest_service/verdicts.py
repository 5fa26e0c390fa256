"""What a failed insert means, by ClickHouse's error code and text: the one table that retries are decided from."""

from enum import StrEnum


class Verdict(StrEnum):
    """What to do with a batch whose insert failed."""

    TRANSIENT = "transient"
    """The server or the way to it is ill: the same bytes again, with the same token, without end."""
    PRESSURE = "pressure"
    """The server has too much to do: as transient, slower."""
    ROW_FAULT = "row_fault"
    """Some row can never be stored: split until it is alone."""
    TIME_FAULT = "time_fault"
    """The batch spans more partitions than one insert may: split; no row is to blame."""
    CONFIG_FAULT = "config_fault"
    """Table, schema, rights or settings are wrong: hold this type's messages, say so, and retry slowly."""
    UNKNOWN = "unknown"
    """Never seen: treated as a fault of configuration, because nothing may be lost to a guess."""


class InsertFailed(Exception):
    """An insert did not succeed; for some codes it may have landed all the same.

    `code` is ClickHouse's error code, None when no answer came.
    """

    def __init__(self, code: int | None, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_TRANSIENT = {3, 159, 198, 202, 203, 209, 210, 236, 242, 244, 254, 265, 279, 285, 286, 289, 290, 297, 319, 364, 384,
              425, 517, 999, 1000}  # fmt: skip
_PRESSURE = {201, 241, 243, 252}
_ROW_FAULT = {
    6,
    25,
    26,
    27,
    33,
    38,
    41,
    53,
    69,
    70,
    72,
    117,
    128,
    130,
    131,
    321,
    349,
    376,
    407,
    441,
    467,
    469,
}
_CONFIG_FAULT = {10, 16, 20, 47, 60, 62, 81, 115, 164, 192, 193, 194, 195, 291, 392, 452, 497, 516}

_VERDICTS: dict[int, Verdict] = {
    **dict.fromkeys(_TRANSIENT, Verdict.TRANSIENT),
    **dict.fromkeys(_PRESSURE, Verdict.PRESSURE),
    **dict.fromkeys(_ROW_FAULT, Verdict.ROW_FAULT),
    **dict.fromkeys(_CONFIG_FAULT, Verdict.CONFIG_FAULT),
}


def verdict(failure: InsertFailed) -> Verdict:
    """What a failed insert means."""
    if failure.code is None:
        return Verdict.TRANSIENT
    if failure.code == 252 and "partitions" in failure.message:
        # The same code as "Too many parts", another text: "Too many partitions for single INSERT block".
        return Verdict.TIME_FAULT
    return _VERDICTS.get(failure.code, Verdict.UNKNOWN)
