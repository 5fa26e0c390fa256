"""A ClickHouse type's text, taken apart: its name and its arguments."""

from dataclasses import dataclass

_TRANSPARENT = {"Nullable", "LowCardinality"}
_PAIRS = {"(": 1, ")": -1}


@dataclass(frozen=True)
class ClickHouseType:
    """A type as ClickHouse writes it, e.g. `Decimal(38, 9)`: name `Decimal`, arguments `38` and `9`."""

    name: str
    arguments: tuple[str, ...] = ()

    def number(self, index: int, default: int = 0) -> int:
        """An argument that is a number."""
        return int(self.arguments[index]) if index < len(self.arguments) else default


def parse(text: str) -> ClickHouseType:
    """Take the outermost level apart; the arguments are types, numbers or quoted text."""
    text = text.strip()
    name, parenthesis, rest = text.partition("(")
    if not parenthesis:
        return ClickHouseType(name)
    return ClickHouseType(name.strip(), tuple(_split(rest.removesuffix(")"))))


def bare(text: str) -> ClickHouseType:
    """The type without Nullable, LowCardinality and SimpleAggregateFunction, which do not change its values."""
    parsed = parse(text)
    if parsed.name in _TRANSPARENT and parsed.arguments:
        return bare(parsed.arguments[0])
    if parsed.name == "SimpleAggregateFunction" and len(parsed.arguments) > 1:
        return bare(parsed.arguments[1])
    return parsed


def _split(text: str) -> list[str]:
    """The parts between commas that stand in neither parentheses nor quotes."""
    parts = [""]
    depth, quote, is_escaped = 0, "", False
    for character in text:
        if quote:
            if not is_escaped and character == quote:
                quote = ""
            is_escaped = character == "\\" and not is_escaped
        elif character in "'`\"":
            quote = character
        depth += 0 if quote else _PAIRS.get(character, 0)
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
