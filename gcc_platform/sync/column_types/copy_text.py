"""The text of a cleaned value that PostgreSQL's COPY reads, as ClickHouse SQL."""


def scalar_text(postgres_type: str, value: str) -> str:
    """The text of a scalar in a column."""
    if postgres_type == "interval":
        return f"concat(toString({value}.1), ' us ', toString({value}.2), ' days ', toString({value}.3), ' mons')"
    return value


def array_text(element_type: str, values: str) -> str:
    """The text of a one-dimensional array, with every element quoted."""
    element = f"replaceAll(replaceAll({_element_text(element_type)}, '\\\\', '\\\\\\\\'), '\"', '\\\\\"')"
    written = f"ifNull(concat('\"', {element}, '\"'), 'NULL')"
    return f"concat('{{', arrayStringConcat(arrayMap(x -> {written}, {values}), ','), '}}')"


def _element_text(element_type: str) -> str:
    if element_type == "timestamptz":
        return "concat(toString(x), '+00')"
    return "x" if element_type == "text" else f"toString({scalar_text(element_type, 'x')})"
