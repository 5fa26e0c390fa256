"""60 bits of the MD5 of a text, in the SQL of both servers: a checksum that fits into a bigint."""


def in_clickhouse(text: str) -> str:
    """The bits as a number whose type has room for the sum of all rows."""
    return f"toUInt128(bitShiftRight(reinterpretAsUInt64(reverse(substring(MD5({text}), 1, 8))), 4))"


def in_postgres(text: str) -> str:
    """The bits as a bigint."""
    return f"('x' || substr(md5({text}), 1, 15))::bit(60)::bigint"
