"""SQL for PostgreSQL: what the old tables keep as lists of {"key": ..., "value": ...} is an object in an event.

It is done there because PostgreSQL keeps numbers as they were written: ClickHouse's functions make 1.5 of 1.50 and text
of 24 digits. No row is refused for its lists: what an object cannot hold is kept word for word in the event's `extra`.
"""

from collections.abc import Mapping


def objects(columns: Mapping[str, str]) -> str:
    """A FROM item: of each list, its object under its name, and whether that cannot hold all of it as `name_is_odd`.

    Of equal keys the last one counts, as in Python's dict: elements come in their order. An object stays as it is. SQL
    NULL, JSON null (which SQLAlchemy writes for None) and anything else are {}. Each list is read once.
    """
    return " ".join(
        f"""CROSS JOIN LATERAL (
            SELECT
                CASE kind WHEN 'array' THEN coalesce(object, '{{}}') WHEN 'object' THEN {column} ELSE '{{}}' END
                    AS {name},
                CASE kind WHEN 'array' THEN coalesce(is_odd, false) WHEN 'object' THEN false
                    ELSE coalesce(kind <> 'null', false) END AS {name}_is_odd
            FROM (SELECT jsonb_typeof({column}) AS kind) AS of_kind CROSS JOIN LATERAL (
                SELECT jsonb_object_agg(pair ->> 'key', pair -> 'value') FILTER (WHERE pair ->> 'key' IS NOT NULL)
                    AS object, bool_or(pair ->> 'key' IS NULL) AS is_odd
                FROM jsonb_array_elements(CASE kind WHEN 'array' THEN {column} ELSE '[]' END) AS of_list (pair)
            ) AS pairs OFFSET 0) AS of_{name}"""
        for name, column in columns.items()
    )


def text_in(json: str, key: str) -> str:
    """The text of an object's key; NULL if it is missing or no text."""
    return f"CASE WHEN jsonb_typeof({json} -> '{key}') = 'string' THEN {json} ->> '{key}' END"


def unix_time_in(json: str, key: str) -> str:
    """The time of an object's key, which is a number of seconds; NULL if it is not, or not between 1970 and 2100."""
    return f"""CASE WHEN jsonb_typeof({json} -> '{key}') = 'number' THEN
        CASE WHEN ({json} ->> '{key}')::numeric BETWEEN 0 AND 4102444800
            THEN to_timestamp(({json} ->> '{key}')::numeric) END END"""
