"""A table of two million rows and 15 columns of the usual types, for comparing ways from ClickHouse to PostgreSQL."""

import clickhouse_connect

from gcc_platform.sync.marts import Mart
from tests.benchmarks.bench import Bench

MART = Mart("bench_sync", ("platform", "profile_id", "shortcode", "date"))
COLUMNS = 15
_TABLE = f"warehouse.{MART.name}"

_CREATE = f"""
CREATE TABLE {_TABLE}
(
    platform String, profile_id String, shortcode String, date Date, handle Nullable(String),
    publish_time Nullable(DateTime64(6)), views Nullable(Int64), likes Nullable(Int64), comments Nullable(Int64),
    shares Nullable(Int64), saves Nullable(Int64), rate Nullable(Float64), amount Decimal(18, 2),
    updated_at DateTime64(6), observations Int64
)
ENGINE = MergeTree ORDER BY (platform, profile_id, shortcode, date)
"""

_FILL = f"""
INSERT INTO {_TABLE} SELECT
    ['INSTAGRAM', 'YOUTUBE', 'TIKTOK'][1 + number % 3], toString(17841400000 + intDiv(number, 40)),
    concat(toString(intDiv(number, 40)), '_', toString(number % 8)), toDate('2026-01-01') + intDiv(number % 40, 8),
    concat('creator_', toString(intDiv(number, 40))), toDateTime64('2026-01-01 00:00:00', 6) + intDiv(number, 7),
    number * 7 % 1000003, number * 3 % 100003, number % 503, if(number % 5 = 0, NULL, number % 97),
    if(number % 7 = 0, NULL, number % 89), (number % 1000) / 1001., toDecimal64(number % 100000, 2),
    toDateTime64('2026-02-01 00:00:00', 6) + number, number % 9
FROM numbers({{rows:UInt64}})
"""


def make(bench: Bench, rows: int) -> None:
    """Create and fill it."""
    with clickhouse_connect.get_client(dsn=bench.environment["GCC_DBT_CLICKHOUSE_URL"]) as client:
        client.command("CREATE DATABASE IF NOT EXISTS warehouse")
        client.command(f"DROP TABLE IF EXISTS {_TABLE}")
        client.command(_CREATE)
        client.command(_FILL, parameters={"rows": rows})


def forget(bench: Bench) -> None:
    """Drop it, as no mart of the project."""
    with clickhouse_connect.get_client(dsn=bench.environment["GCC_DBT_CLICKHOUSE_URL"]) as client:
        client.command(f"DROP TABLE IF EXISTS {_TABLE}")
