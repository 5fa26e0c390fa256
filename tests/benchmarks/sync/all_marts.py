"""All marts synced one after the other, each measured by itself, and what is served compared with a full copy of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
import psycopg
from psycopg import sql

from gcc_platform.resources import clickhouse, postgres
from gcc_platform.resources.clickhouse import ClickHouse
from gcc_platform.sync import syncing
from gcc_platform.sync.marts import Mart, marts_of
from gcc_platform.sync.outcome import Options
from tests.benchmarks.bench import Bench
from tests.benchmarks.sync.cost import Cost, measured
from tests.harness import syncs

_UPSERTED = "changed rows"


class MartSync(msgspec.Struct, frozen=True):
    """The sync of one mart."""

    mart: str
    mode: str
    rows: int
    sent_bytes: int
    seconds: float
    wal_bytes: int
    compared_seconds: float = 0.0
    """Of these, in which it compared a key range on both servers."""


class Round(msgspec.Struct, frozen=True):
    """The syncs of all marts."""

    cost: Cost
    marts: list[MartSync]


class Equality(msgspec.Struct, frozen=True):
    """A mart as it was upserted, beside a full copy of it."""

    mart: str
    rows: int
    is_equal: bool


def marts() -> list[Mart]:
    """Those of the project, as Dagster serves them."""
    # Imported here: it parses the dbt project.
    from gcc_platform.resources.dbt_project import manifest

    return marts_of(manifest("warehouse"))


def sync_all(bench: Bench, wanted: Sequence[Mart]) -> Round:
    """Sync each of them once."""
    with measured(bench) as result:
        found = [_sync(bench, mart) for mart in wanted]
    return Round(result.cost, found)


def _sync(bench: Bench, mart: Mart) -> MartSync:
    with measured(bench) as result:
        done = sync(bench, mart)
    return MartSync(
        mart.name,
        done.mode,
        done.rows,
        done.sent_bytes,
        result.cost.seconds,
        result.cost.wal_bytes,
        done.compared_seconds,
    )


def sync(bench: Bench, mart: Mart, *, full: bool = False) -> syncs.Outcome:
    """Sync a mart over connections of its own, as Dagster does."""
    with _connected(bench, mart) as (source, target):
        return syncs.run(source, target, mart, full=full)


@contextmanager
def _connected(bench: Bench, mart: Mart) -> Iterator[tuple[ClickHouse, psycopg.Connection]]:
    with (
        clickhouse.connect(bench.environment["GCC_SYNC_CLICKHOUSE_URL"], {"mart": mart.name}) as source,
        postgres.connect(bench.environment["POSTGRES_URL"], f"bench {mart.name}") as target,
    ):
        yield source, target


def prove_all(bench: Bench, wanted: Sequence[Mart], say: Callable[[str], None]) -> None:
    """Compare all key ranges of each, as `gcc-platform parity --all` does."""
    with measured(bench) as result:
        rows = sum(_proved(bench, mart) for mart in wanted)
    say(f"  all {rows:,} rows compared: {result.cost.seconds:.1f} s")


def _proved(bench: Bench, mart: Mart) -> int:
    with _connected(bench, mart) as (source, target):
        done = syncing.prove(source, target, mart, Options(compares_all=True))
    if done.findings:
        raise RuntimeError(f"{mart.name} differs: {done.findings}")
    return done.compared.rows


def compare(bench: Bench, wanted: Sequence[Mart], say: Callable[[str], None]) -> list[Equality]:
    """Hash what is served, copy it in full, and hash it again."""
    found = []
    for mart in wanted:
        upserted = _hashed(bench, mart)
        sync(bench, mart, full=True)
        copied = _hashed(bench, mart)
        found.append(Equality(mart.name, upserted[0], upserted == copied))
        say(f"  {mart.name}: {upserted[0]:,} rows, {'equal' if upserted == copied else 'DIFFERENT'}")
    return found


def upserted(done: Round, wanted: Sequence[Mart]) -> list[Mart]:
    """The marts of which a round has sent the changed rows alone."""
    names = {each.mart for each in done.marts if each.mode == _UPSERTED}
    return [mart for mart in wanted if mart.name in names]


def _hashed(bench: Bench, mart: Mart) -> tuple[int, int]:
    statement = sql.SQL("SELECT count(*), coalesce(sum(hash_record_extended(t, 0)), 0) FROM serving.{} AS t")
    with psycopg.connect(bench.environment["POSTGRES_URL"], autocommit=True) as connection:
        [(rows, total)] = connection.execute(statement.format(sql.Identifier(mart.name))).fetchall()
    return int(rows), int(total)
