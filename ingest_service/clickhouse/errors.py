"""Classifies failed inserts by ClickHouse's error code and text; retries are decided by this table alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ingest_service.errors import UserError


class ErrorClass(StrEnum):
    """How a batch whose insert failed is handled."""

    TRANSIENT = "transient"
    """The server or the network fails: retry the same bytes with the same token, without limit."""
    PRESSURE = "pressure"
    """The server is overloaded: retry more slowly; in halves if it lacks memory."""
    ROW_FAULT = "row_fault"
    """A row can never be stored: split the batch until that row is alone."""
    TIME_FAULT = "time_fault"
    """The batch spans more partitions than one insert may: split it by time; no row is at fault."""
    CONFIG_FAULT = "config_fault"
    """Table, schema, grants or settings are wrong: hold this type's messages, report it, and retry slowly."""
    UNKNOWN = "unknown"
    """An unknown code: treated as CONFIG_FAULT after some retries, because a wrong guess must not lose messages."""


@dataclass(frozen=True, slots=True)
class Classification:
    """The class of an error, and the reason as logs, metrics and /status show it."""

    error_class: ErrorClass
    reason: str


class InsertFailed(UserError):
    """An insert failed; for some codes it may have landed nevertheless.

    `code` is ClickHouse's error code, None if ClickHouse did not answer; `status` is the HTTP status of a proxy that
    answered. `str()` of it holds no values of the rows, although ClickHouse quotes values that it cannot parse.
    """

    def __init__(self, code: int | None, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        """The server's text, unredacted: never log it."""

    def __str__(self) -> str:
        shown = classify(self).error_class in _SHOWN and failed_view(self) is None
        return self.message if shown else _without_values(self)


class RowsMissing(InsertFailed):
    """ClickHouse reports success, and fewer written rows than were sent."""

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


# The reasons are ClickHouse's names of the codes: SELECT errorCodeToName(241).
_TABLE: Mapping[ErrorClass, Mapping[int, str]] = {
    ErrorClass.TRANSIENT: {
        3: "unexpected_end_of_file",
        159: "timeout_exceeded",  # as 319: it may have landed
        198: "dns_error",
        202: "too_many_simultaneous_queries",
        203: "no_free_connection",
        209: "socket_timeout",
        210: "network_error",
        236: "aborted",
        242: "table_is_read_only",  # a replica without its Keeper
        244: "unexpected_zookeeper_error",
        254: "no_active_replicas",
        265: "no_available_replica",
        279: "all_connection_tries_failed",
        285: "too_few_live_replicas",
        286: "unsatisfied_quorum_for_previous_write",
        289: "replica_is_not_in_quorum",
        290: "limit_exceeded",
        297: "shard_has_no_connections",
        319: "unknown_status_of_insert",
        364: "received_error_too_many_requests",
        384: "part_is_temporarily_locked",
        425: "system_error",
        517: "cannot_assign_alter",
        999: "keeper_exception",
        1000: "poco_exception",
    },
    ErrorClass.PRESSURE: {
        201: "quota_exceeded",
        241: "memory_limit_exceeded",
        243: "not_enough_space",
        252: "too_many_parts",
    },
    ErrorClass.ROW_FAULT: {
        6: "cannot_parse_text",
        25: "cannot_parse_escape_sequence",
        26: "cannot_parse_quoted_string",
        27: "cannot_parse_input_assertion_failed",
        33: "cannot_read_all_data",
        38: "cannot_parse_date",
        41: "cannot_parse_datetime",
        53: "type_mismatch",
        69: "argument_out_of_bound",
        70: "cannot_convert_type",
        72: "cannot_parse_number",
        117: "incorrect_data",
        128: "too_large_array_size",
        130: "cannot_read_array_from_text",
        131: "too_large_string_size",
        321: "value_is_out_of_range_of_data_type",
        349: "cannot_insert_null_in_ordinary_column",
        376: "cannot_parse_uuid",
        407: "decimal_overflow",
        441: "cannot_parse_domain_value_from_string",
        467: "cannot_parse_bool",
        469: "violated_constraint",
    },
    ErrorClass.CONFIG_FAULT: {
        10: "not_found_column_in_block",
        16: "no_such_column_in_table",
        20: "number_of_columns_doesnt_match",
        47: "unknown_identifier",
        60: "unknown_table",
        62: "syntax_error",
        81: "unknown_database",
        115: "unknown_setting",
        164: "readonly",
        192: "unknown_user",
        193: "wrong_password",
        194: "required_password",
        195: "ip_address_not_allowed",
        291: "database_access_denied",
        392: "query_is_prohibited",
        452: "setting_constraint_violation",
        497: "access_denied",
        516: "authentication_failed",
    },
}

_CLASSIFICATIONS = {
    code: Classification(error_class, reason)
    for error_class, reasons in _TABLE.items()
    for code, reason in reasons.items()
}
_TOO_MANY_PARTITIONS = Classification(ErrorClass.TIME_FAULT, "too_many_partitions")
_DROPPED_COLUMN = Classification(ErrorClass.CONFIG_FAULT, "unknown_field")
_ROWS_MISSING = Classification(ErrorClass.CONFIG_FAULT, "rows_missing")
VIEW_FAILED = Classification(ErrorClass.CONFIG_FAULT, "view_failed")
NO_ANSWER = Classification(ErrorClass.TRANSIENT, "no_answer")
TOO_LARGE_FOR_PROXY = Classification(ErrorClass.CONFIG_FAULT, "too_large_for_proxy")
OUT_OF_MEMORY = _CLASSIFICATIONS[241]
KNOWN = frozenset(_CLASSIFICATIONS.values()) | {
    _TOO_MANY_PARTITIONS, _DROPPED_COLUMN, _ROWS_MISSING, VIEW_FAILED, NO_ANSWER, TOO_LARGE_FOR_PROXY
}  # fmt: skip
"""Every classification but those of unknown codes."""

_SHOWN = {ErrorClass.TRANSIENT, ErrorClass.PRESSURE, ErrorClass.CONFIG_FAULT}
"""Texts of these classes name tables, settings and limits, not values."""
_AT_ROW = re.compile(r"\(at row (\d+)\)")
_KEY = re.compile(r"while reading the value of key (\w{1,64})\)")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)(?: \(version [^)]*\)*\))?(?: \(for url [^)]*\))?\s*$")
_VIEW = re.compile(r"while pushing to view ([^\s:]{1,200})\. \([A-Z][A-Z0-9_]+\)(?: \(version [^)]*\)*\))?"
                   r"(?: \(for url [^)]*\))?\s*$")  # fmt: skip
"""Anchored at the end of the text: anything before it may be a value that was sent."""
_UNKNOWN_FIELD = "Unknown field found while parsing "


def blamed_row(failure: InsertFailed) -> int | None:
    """The row, counted from 1, that ClickHouse could not parse; a hint only: each parser counts from its own start."""
    found = _AT_ROW.search(failure.message)
    return int(found[1]) if found else None


def failed_view(failure: InsertFailed) -> str | None:
    """The materialized view that failed; None if it was the table, or the server names none."""
    found = _VIEW.search(failure.message)
    return found[1] if found else None


def classify(failure: InsertFailed) -> Classification:
    """Classify a failed insert."""
    if isinstance(failure, RowsMissing):
        return _ROWS_MISSING
    if failure.code is None:
        return TOO_LARGE_FOR_PROXY if failure.status == 413 else NO_ANSWER
    if failure.code == 252 and "partitions" in failure.message:
        # "Too many partitions for single INSERT block" has the code of "Too many parts".
        means = _TOO_MANY_PARTITIONS
    elif failure.code == 117 and _server_message(failure).startswith(_UNKNOWN_FIELD):
        # The code means incorrect data; but validation accepts only fields of the contract, so the column is missing.
        means = _DROPPED_COLUMN
    else:
        means = _CLASSIFICATIONS.get(failure.code) or Classification(ErrorClass.UNKNOWN, f"code_{failure.code}")
    if means.error_class in (ErrorClass.ROW_FAULT, ErrorClass.UNKNOWN) and failed_view(failure) is not None:
        return VIEW_FAILED  # whatever the view's error is, the table has the rows
    return means


def _without_values(failure: InsertFailed) -> str:
    """Code, name and place of an error whose text may quote values."""
    name = _NAME.search(failure.message)
    text = f"ClickHouse's error {failure.code}"
    if name is not None:
        text += f" ({name[1]})"
    if keys := _KEY.findall(failure.message):
        text += f" in the column {keys[-1]}"  # any match before the last may be part of a value
    if (view := failed_view(failure)) is not None:
        text += f" in the materialized view {view}: fix or drop it, or write it so that it cannot fail"
    return text


def _server_message(failure: InsertFailed) -> str:
    """The server's message from its beginning, where no value can stand."""
    before, found, message = failure.message.partition("DB::Exception: ")
    return message if found else before
