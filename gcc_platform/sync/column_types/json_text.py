"""A value as JSON text that PostgreSQL's jsonb accepts, as ClickHouse SQL."""

# ClickHouse escapes every control character, so this byte stands in no JSON text.
_MARK = "'\\x01'"
_BACKSLASH = "'\\\\\\\\'"
_NUL = "'\\\\u0000'"


def written(value: str) -> str:
    """The JSON as ClickHouse writes it."""
    return f"toJSONString({value})"


def cleaned(value: str) -> str:
    """The JSON without \\u0000 and bad UTF-8. An escaped backslash before `u0000` is text, and stays."""
    text = f"toValidUTF8({written(value)})"
    without = f"replaceAll(replaceAll({text}, {_BACKSLASH}, {_MARK}), {_NUL}, '')"
    return f"if(position({text}, {_NUL}) > 0, replaceAll({without}, {_MARK}, {_BACKSLASH}), {text})"


def is_changed(value: str) -> str:
    """Whether cleaning changes the JSON."""
    return f"{cleaned(value)} != {written(value)}"
