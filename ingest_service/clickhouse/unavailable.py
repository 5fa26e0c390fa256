"""Messages for a ClickHouse that refuses or does not answer, without the URL's password."""

from ingest_service.errors import UserError

_AUTHENTICATION_FAILED = 516
_NOT_THERE = (60, 81)  # a table, a database


class ClickHouseUnavailable(UserError):
    """ClickHouse cannot be used at present; the message gives the reason and the URL without its password."""


class NotConnected(ClickHouseUnavailable):
    """No connection could be opened: the server has received nothing."""


def refusal(shown: str, code: int, text: str) -> str:
    """The message for a server's error code and text, with a way out if there is one; `shown` is its URL."""
    if code == _AUTHENTICATION_FAILED:
        return f"CLICKHOUSE_URL: {shown} refused the user or its password"
    way_out = ". gcc-ingest init creates databases and tables" if code in _NOT_THERE else ""
    return f"CLICKHOUSE_URL: {shown} answered: {text.strip()}{way_out}"


def no_answer(shown: str, error: BaseException) -> str:
    """The message for a request that was not answered."""
    return f"CLICKHOUSE_URL: no ClickHouse answers at {shown} ({str(error).strip() or type(error).__name__})"
