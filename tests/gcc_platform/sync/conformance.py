"""ClickHouse types with values, and the text that PostgreSQL shows of each: written by hand, not computed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A type, and values of it as SQL, each with its text in PostgreSQL (None for NULL)."""

    clickhouse_type: str
    postgres_type: str
    values: dict[str, str | None]
    changed: frozenset[str] = frozenset()
    """The values that cleaning changes."""
    is_json_on_request: bool = False


def case(clickhouse_type: str, postgres_type: str, values: dict[str, str | None]) -> Case:
    return Case(clickhouse_type, postgres_type, values)


def cut(clickhouse_type: str, postgres_type: str, values: dict[str, str | None]) -> Case:
    """All of its values are changed."""
    return Case(clickhouse_type, postgres_type, values, frozenset(values))


def as_json(clickhouse_type: str, values: dict[str, str | None]) -> Case:
    return Case(clickhouse_type, "jsonb", values, is_json_on_request=True)


INT128 = 170141183460469231731687303715884105727
INT256 = 2**255 - 1
NINES = "9" * 38

CASES = [
    case("Int8", "smallint", {"-128": "-128", "127": "127"}),
    case("Int16", "smallint", {"-32768": "-32768", "32767": "32767"}),
    case("Int32", "integer", {"-2147483648": "-2147483648", "2147483647": "2147483647"}),
    case("Int64", "bigint", {"-9223372036854775808": "-9223372036854775808", "9223372036854775807": f"{2**63 - 1}"}),
    case("Int128", "numeric(39,0)", {f"'{-INT128 - 1}'": f"{-INT128 - 1}", f"'{INT128}'": f"{INT128}"}),
    case("Int256", "numeric(77,0)", {f"'{-INT256 - 1}'": f"{-INT256 - 1}", f"'{INT256}'": f"{INT256}"}),
    case("UInt8", "smallint", {"255": "255"}),
    case("UInt16", "integer", {"65535": "65535"}),
    case("UInt32", "bigint", {"4294967295": "4294967295"}),
    case("UInt64", "numeric(20,0)", {"18446744073709551615": "18446744073709551615", "0": "0"}),
    case("UInt128", "numeric(39,0)", {f"'{2**128 - 1}'": f"{2**128 - 1}"}),
    case("UInt256", "numeric(78,0)", {f"'{2**256 - 1}'": f"{2**256 - 1}"}),
    case("LowCardinality(UInt64)", "numeric(20,0)", {"5": "5"}),
    case("Nullable(Int32)", "integer", {"NULL": None, "-1": "-1"}),
    case("BFloat16", "real", {"1.5": "1.5", "nan": "NaN"}),
    case("Float32", "real", {"nan": "NaN", "-inf": "-Infinity", "0.1": "0.1", "-0.0": "-0", "1e-45": "1e-45"}),
    case("Float32", "real", {"3.4028234e38": "3.4028235e+38", "16777217": "1.6777216e+07"}),
    case("Float64", "double precision", {"nan": "NaN", "inf": "Infinity", "-0.0": "-0", "5e-324": "5e-324"}),
    case("Float64", "double precision", {"0.1 + 0.2": "0.30000000000000004", "1e22": "1e+22"}),
    case("Float64", "double precision", {"reinterpretAsFloat64(18444492273895866369)": "NaN"}),
    case("Nullable(Float64)", "double precision", {"NULL": None, "1.7976931348623157e308": "1.7976931348623157e+308"}),
    case("LowCardinality(Nullable(Float64))", "double precision", {"NULL": None, "0.1": "0.1"}),
    case("Decimal(9, 2)", "numeric(9,2)", {"'-9999999.99'": "-9999999.99", "'1.1'": "1.10", "0": "0.00"}),
    case("Decimal(38, 10)", "numeric(38,10)", {f"'{NINES[:28]}.{NINES[:10]}'": f"{NINES[:28]}.{NINES[:10]}"}),
    case("Decimal(76, 38)", "numeric(76,38)", {f"'-{NINES}.{NINES}'": f"-{NINES}.{NINES}"}),
    case("Nullable(Decimal(38, 9))", "numeric(38,9)", {"NULL": None, "'-0.000000001'": "-0.000000001"}),
    case("Bool", "boolean", {"true": "true", "false": "false"}),
    case("Nullable(Bool)", "boolean", {"NULL": None, "true": "true"}),
    case("UUID", "uuid", {"'00112233-4455-6677-8899-aabbccddeeff'": "00112233-4455-6677-8899-aabbccddeeff"}),
    case("Nullable(UUID)", "uuid", {"NULL": None}),
    case("IPv4", "inet", {"'255.255.255.255'": "255.255.255.255/32", "'0.0.0.0'": "0.0.0.0/32"}),
    case(
        "IPv6", "inet", {"'::1'": "::1/128", "'::ffff:1.2.3.4'": "::ffff:1.2.3.4/128", "'2001:db8::'": "2001:db8::/128"}
    ),
    case("Nullable(IPv6)", "inet", {"NULL": None, "'::1.2.3.4'": "::1.2.3.4/128"}),
    case("Date", "date", {"'1970-01-01'": "1970-01-01", "'2149-06-06'": "2149-06-06"}),
    case("Date32", "date", {"'1900-01-01'": "1900-01-01", "'2299-12-31'": "2299-12-31"}),
    case("LowCardinality(Date)", "date", {"'2024-02-29'": "2024-02-29"}),
    case("DateTime", "timestamptz", {"toDateTime(0)": "1970-01-01 00:00:00+00"}),
    case("DateTime('UTC')", "timestamptz", {"'2106-02-07 06:28:15'": "2106-02-07 06:28:15+00"}),
    case("DateTime('Asia/Kolkata')", "timestamptz", {"'2024-03-10 02:30:00'": "2024-03-09 21:00:00+00"}),
    case(
        "DateTime('America/New_York')",  # an hour that the clocks show twice
        "timestamptz",
        {"toDateTime(1730611800)": "2024-11-03 05:30:00+00", "toDateTime(1730615400)": "2024-11-03 06:30:00+00"},
    ),
    case("DateTime64(3, 'Asia/Kolkata')", "timestamptz", {"'2024-03-10 02:30:00.123'": "2024-03-09 21:00:00.123+00"}),
    case("DateTime64(6, 'UTC')", "timestamptz", {"'2299-12-31 23:59:59.999999'": "2299-12-31 23:59:59.999999+00"}),
    case("DateTime64(6, 'UTC')", "timestamptz", {"'1900-01-01 00:00:00.000001'": "1900-01-01 00:00:00.000001+00"}),
    case("DateTime64(9, 'UTC')", "timestamptz", {"'2262-04-11 23:47:16'": "2262-04-11 23:47:16+00"}),
    cut("DateTime64(9, 'UTC')", "timestamptz", {"'2017-12-31 23:59:59.999999999'": "2017-12-31 23:59:59.999999+00"}),
    cut("DateTime64(9, 'UTC')", "timestamptz", {"'1969-12-31 23:59:59.999999999'": "1969-12-31 23:59:59.999999+00"}),
    cut("DateTime64(7, 'UTC')", "timestamptz", {"'2024-01-01 00:00:00.1234567'": "2024-01-01 00:00:00.123456+00"}),
    case("Nullable(DateTime64(3, 'UTC'))", "timestamptz", {"NULL": None}),
    case(
        "SimpleAggregateFunction(max, DateTime64(1, 'UTC'))", "timestamptz", {"'2024-01-01'": "2024-01-01 00:00:00+00"}
    ),
    case("Time", "interval", {"'12:34:56'": "12:34:56", "'-999:59:59'": "-999:59:59"}),
    case("Nullable(Time)", "interval", {"NULL": None, "'00:00:01'": "00:00:01"}),
    case("Time64(3)", "interval", {"'12:34:56.123'": "12:34:56.123"}),
    cut(
        "Time64(7)", "interval", {"'-12:34:56.1234567'": "-12:34:56.123456", "'999:59:59.9999999'": "999:59:59.999999"}
    ),
    cut("IntervalNanosecond", "interval", {"toIntervalNanosecond(-1)": "00:00:00"}),
    case("Nullable(IntervalNanosecond)", "interval", {"toIntervalNanosecond(7000)": "00:00:00.000007", "NULL": None}),
    case("IntervalMicrosecond", "interval", {"toIntervalMicrosecond(-7)": "-00:00:00.000007"}),
    case("IntervalMillisecond", "interval", {"toIntervalMillisecond(7)": "00:00:00.007"}),
    case("IntervalSecond", "interval", {"toIntervalSecond(100000)": "27:46:40"}),
    case("IntervalMinute", "interval", {"toIntervalMinute(-7)": "-00:07:00"}),
    case("IntervalHour", "interval", {"toIntervalHour(25)": "25:00:00"}),
    case("IntervalDay", "interval", {"toIntervalDay(-7)": "-7 days"}),
    case("IntervalWeek", "interval", {"toIntervalWeek(3)": "21 days"}),
    case("IntervalMonth", "interval", {"toIntervalMonth(-7)": "-7 mons"}),
    case("IntervalQuarter", "interval", {"toIntervalQuarter(5)": "1 year 3 mons"}),
    case("IntervalYear", "interval", {"toIntervalYear(7)": "7 years"}),
    case(
        "Enum8('a b' = 1, 'q\\'uote' = 2, 'tab\\tx' = 3, '' = 4)",
        "text",
        {"'tab\\tx'": "tab\tx", "'q\\'uote'": "q'uote"},
    ),
    case("Enum16('x)y' = 1000)", "text", {"'x)y'": "x)y"}),
    case("String", "text", {"''": "", r"'\\N'": r"\N", r"'\\.'": r"\.", "' a '": " a ", "'日本😀'": "日本😀"}),
    case(
        "String",
        "text",
        {"'Überwältigend 🎬 हिन्दी \u200d'": "Überwältigend 🎬 हिन्दी \u200d"},
    ),
    case("String", "text", {"'\\\\quote\\' \"'": "\\quote' \""}),
    case("String", "text", {r"'a\tb\nc\rd\\e\b\f\v'": "a\tb\nc\rd\\e\b\f\v", r"'\x01\x1f\x7f'": "\x01\x1f\x7f"}),
    cut("String", "text", {r"'a\0b'": "ab", r"'a\xffb'": "a\ufffdb"}),
    case("LowCardinality(String)", "text", {"'x'": "x"}),
    cut("LowCardinality(Nullable(String))", "text", {r"'\0'": ""}),
    case("Nullable(String)", "text", {"NULL": None, "'NULL'": "NULL", "''": ""}),
    case("FixedString(4)", "text", {"'ab'": "ab", "'abcd'": "abcd", r"'\0\0\0\0'": ""}),
    cut("FixedString(3)", "text", {r"'a\0b'": "ab"}),
    case("Array(Int64)", "bigint[]", {"[1, -2]": "{1,-2}", "[]": "{}"}),
    case("Array(Nullable(UInt64))", "numeric(20,0)[]", {"[NULL, 18446744073709551615]": "{NULL,18446744073709551615}"}),
    case("Array(Float64)", "double precision[]", {"[nan, -inf, -0.0, 0.1]": "{NaN,-Infinity,-0,0.1}"}),
    case("Array(Bool)", "boolean[]", {"[true, false]": "{t,f}"}),
    case("Array(Decimal(18, 4))", "numeric(18,4)[]", {"['1.5']": "{1.5000}"}),
    case(
        "Array(UUID)",
        "uuid[]",
        {"[toUUID('00112233-4455-6677-8899-aabbccddeeff')]": "{00112233-4455-6677-8899-aabbccddeeff}"},
    ),
    case("Array(IPv4)", "inet[]", {"[toIPv4('1.2.3.4')]": "{1.2.3.4}"}),
    case("Array(IPv6)", "inet[]", {"[toIPv6('::1')]": "{::1}"}),
    case(
        "Array(String)",
        "text[]",
        {r"""['a"b', 'c\\d', 'e,f', '{g}', 'NULL', '']""": r'{"a\"b","c\\d","e,f","{g}","NULL",""}'},
    ),
    case("Array(String)", "text[]", {r"['\t\n', '日本😀', ' ']": '{"\t\n",日本😀," "}'}),
    case("Array(Nullable(String))", "text[]", {"[NULL, 'NULL', 'x']": '{NULL,"NULL",x}'}),
    cut("Array(String)", "text[]", {r"['ok', 'a\0']": "{ok,a}"}),
    case("Array(LowCardinality(Nullable(String)))", "text[]", {"['x', NULL]": "{x,NULL}"}),
    case("Array(Enum8('a' = 1, 'b' = 2))", "text[]", {"['a', 'b']": "{a,b}"}),
    case("Array(FixedString(2))", "text[]", {"['ab']": "{ab}"}),
    case("SimpleAggregateFunction(groupUniqArrayArray, Array(String))", "text[]", {"['a']": "{a}"}),
    case("Array(Date)", "date[]", {"['2024-01-01']": "{2024-01-01}"}),
    case("Array(Date32)", "date[]", {"['1900-01-01', '2299-12-31']": "{1900-01-01,2299-12-31}"}),
    case("Array(DateTime('Asia/Kolkata'))", "timestamptz[]", {"['2024-03-10 02:30:00']": '{"2024-03-09 21:00:00+00"}'}),
    case("Array(DateTime64(3, 'UTC'))", "timestamptz[]", {"['1900-01-01 00:00:00.1']": '{"1900-01-01 00:00:00.1+00"}'}),
    cut(
        "Array(Nullable(DateTime64(9, 'UTC')))",
        "timestamptz[]",
        {"[NULL, '2024-01-01 00:00:00.999999999']": '{NULL,"2024-01-01 00:00:00.999999+00"}'},
    ),
    case("Array(Time)", "interval[]", {"['12:34:56', '-00:00:01']": "{12:34:56,-00:00:01}"}),
    case(
        "JSON",
        "jsonb",
        {"""'{"b":1,"aa":"\\\\t/","c":[1,null,{"d":2.5}]}'""": '{"b": 1, "c": [1, null, {"d": 2.5}], "aa": "\\t/"}'},
    ),
    case(
        "JSON",
        "jsonb",
        {"""'{"a":9007199254740993,"b":18446744073709551615}'""": '{"a": 9007199254740993, "b": 18446744073709551615}'},
    ),
    case("JSON", "jsonb", {"""'{"a":"\\\\\\\\u0000"}'""": '{"a": "\\\\u0000"}'}),
    cut("JSON", "jsonb", {"""'{"a\\\\u0000":"x\\\\u0000\\\\u0000y\\\\\\\\u0000"}'""": '{"a": "xy\\\\u0000"}'}),
    case("Nullable(JSON)", "jsonb", {"NULL": None}),
    case("JSON(a String)", "jsonb", {"""'{"a":"2024-1-1 10:00"}'""": '{"a": "2024-1-1 10:00"}'}),
    as_json("Map(String, Int64)", {"map('a', 1, 'b', -2)": '{"a": 1, "b": -2}', "map()": "{}"}),
    as_json("Tuple(a Int32, b String)", {"(1, 'x')": '{"a": 1, "b": "x"}'}),
    as_json("Tuple(Int32, Nullable(String))", {"(1, NULL)": "[1, null]"}),
    as_json("Array(Array(Int32))", {"[[1], [2, 3], []]": "[[1], [2, 3], []]"}),
    as_json(
        "Array(Tuple(k String, v UInt64))", {"[('a', 18446744073709551615)]": '[{"k": "a", "v": 18446744073709551615}]'}
    ),
    as_json("Variant(Int64, String)", {"1::Int64": "1", "'x'": '"x"', "NULL": None}),
    as_json("Dynamic", {"1::Int64": "1", "['x']": '["x"]', "NULL": None}),
    as_json("Point", {"(1., 2.5)": "[1, 2.5]"}),
    as_json("Array(String)", {"['a']": '["a"]'}),
]
