"""SQL for PostgreSQL: what the old tables keep as lists of {"key": ..., "value": ...} is an object in an event.

It is done there because PostgreSQL keeps numbers as they were written: ClickHouse's functions make 1.5 of 1.50 and text
of 24 digits. No row is refused for its lists: what an object cannot hold is kept word for word in the event's `extra`.
"""


def as_object(column: str) -> str:
    """A list of pairs as an object; of equal keys the last one counts, as in Python's dict.

    An object stays as it is. SQL NULL, JSON null (which SQLAlchemy writes for None) and anything else are {}.
    """
    return f"""CASE jsonb_typeof({column})
        WHEN 'array' THEN (
            SELECT coalesce(jsonb_object_agg(pair ->> 'key', pair -> 'value' ORDER BY place), '{{}}')
            FROM jsonb_array_elements({column}) WITH ORDINALITY AS of_list (pair, place)
            WHERE pair ->> 'key' IS NOT NULL)
        WHEN 'object' THEN {column}
        ELSE '{{}}' END"""


def not_in_object(name: str, column: str) -> str:
    """`{name: value}` of a value that `as_object` leaves out or does not take whole, else {}."""
    return f"""CASE jsonb_typeof({column})
        WHEN 'array' THEN CASE WHEN EXISTS (
                SELECT FROM jsonb_array_elements({column}) AS of_list (pair) WHERE pair ->> 'key' IS NULL)
            THEN jsonb_build_object('{name}', {column}) ELSE '{{}}' END
        WHEN 'object' THEN '{{}}'
        WHEN 'null' THEN '{{}}'
        ELSE CASE WHEN {column} IS NULL THEN '{{}}' ELSE jsonb_build_object('{name}', {column}) END END"""


def text_in(json: str, key: str) -> str:
    """The text of an object's key; NULL if it is missing or no text."""
    return f"CASE WHEN jsonb_typeof({json} -> '{key}') = 'string' THEN {json} ->> '{key}' END"


def unix_time_in(json: str, key: str) -> str:
    """The time of an object's key, which is a number of seconds; NULL if it is not, or not between 1970 and 2100."""
    return f"""CASE WHEN jsonb_typeof({json} -> '{key}') = 'number' THEN
        CASE WHEN ({json} ->> '{key}')::numeric BETWEEN 0 AND 4102444800
            THEN to_timestamp(({json} ->> '{key}')::numeric) END END"""
