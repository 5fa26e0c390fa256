"""What a failed insert means, by ClickHouse's error code and text: the one table that retries are decided from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What to do with a batch whose insert failed."""

    TRANSIENT = "transient"
    """The server or the way to it is ill: the same bytes again, with the same token, without end."""
    PRESSURE = "pressure"
    """The server has too much to do: as transient, slower; where it lacks memory, in halves."""
    ROW_FAULT = "row_fault"
    """Some row can never be stored: split until it is alone."""
    TIME_FAULT = "time_fault"
    """The batch spans more partitions than one insert may: split by time; no row is to blame."""
    CONFIG_FAULT = "config_fault"
    """Table, schema, rights or settings are wrong: hold this type's messages, say so, and retry slowly."""
    UNKNOWN = "unknown"
    """Never seen: after some retries treated as a fault of configuration, because nothing may be lost to a guess."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A verdict, and the reason for it as logs, metrics and /status name it."""

    verdict: Verdict
    reason: str


class InsertFailed(Exception):
    """An insert did not succeed; for some codes it may have landed all the same.

    `code` is ClickHouse's error code, None when no answer came.
    """

    def __init__(self, code: int | None, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# The reasons are ClickHouse's own names of the codes: SELECT errorCodeToName(241).
_TABLE: Mapping[Verdict, Mapping[int, str]] = {
    Verdict.TRANSIENT: {
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
    Verdict.PRESSURE: {
        201: "quota_exceeded",
        241: "memory_limit_exceeded",
        243: "not_enough_space",
        252: "too_many_parts",
    },
    Verdict.ROW_FAULT: {
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
    Verdict.CONFIG_FAULT: {
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

_MEANINGS = {code: Meaning(verdict, reason) for verdict, reasons in _TABLE.items() for code, reason in reasons.items()}
_TOO_MANY_PARTITIONS = Meaning(Verdict.TIME_FAULT, "too_many_partitions")
_DROPPED_COLUMN = Meaning(Verdict.CONFIG_FAULT, "unknown_field")
NO_ANSWER = Meaning(Verdict.TRANSIENT, "no_answer")
_AT_ROW = re.compile(r"\(at row (\d+)\)")
OUT_OF_MEMORY = _MEANINGS[241]


def blamed_row(failure: InsertFailed) -> int | None:
    """The row, counted from 1, that ClickHouse could not read. A hint only: it counts from where a parser began."""
    found = _AT_ROW.search(failure.message)
    return int(found[1]) if found else None


def meaning(failure: InsertFailed) -> Meaning:
    """What a failed insert means."""
    if failure.code is None:
        return NO_ANSWER
    if failure.code == 252 and "partitions" in failure.message:
        # The same code as "Too many parts", another text: "Too many partitions for single INSERT block".
        return _TOO_MANY_PARTITIONS
    if failure.code == 117 and "Unknown field found while parsing" in failure.message:
        # Incorrect data, it says; but admission lets only fields of the contract through, so the column is missing.
        return _DROPPED_COLUMN
    return _MEANINGS.get(failure.code) or Meaning(Verdict.UNKNOWN, f"code_{failure.code}")
