"""Readers while a mart is refreshed, its syncs are killed and its columns change: what they saw, how they waited."""

import random
import statistics
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from gcc_platform.sync.views.view import ViewBusy
from tests.harness import syncs
from tests.sync_proof.kept import USER, Views, user_url
from tests.sync_proof.killing import Way, sync_killed
from tests.sync_proof.reading import CONTROL, PREPARED_STAR, Place, Seen, reading
from tests.sync_proof.servers import LEAST_ROWS, Servers
from tests.sync_proof.simple_mart import SimpleMart, Totals

_ROWS = 2_000
_STATEMENTS = 70
"""About as many as a sync sends."""
_UNTOUCHED = "proof_user.untouched"
SCHEMA_CHANGES = (
    "ADD COLUMN extra Int64 DEFAULT 5",
    "MODIFY COLUMN note String",
    "DROP COLUMN extra",
    "MODIFY COLUMN note Int64",
    "ADD COLUMN extra String DEFAULT 'x'",
)


class Felt(msgspec.Struct, frozen=True):
    """By the readers of one kind."""

    kind: str
    reads: int
    errors: dict[str, int]
    partial: int
    """Reads of something that the mart never was."""
    p99_ms: float
    longest_ms: float


class Read(msgspec.Struct, frozen=True):
    """The result."""

    refreshes: int
    modes: dict[str, int]
    kills: int
    schema_changes: int
    refused: int
    """Syncs that found the view locked at all attempts; they serve the old rows on."""
    lost: list[str]
    """Owners, grants, options and comments that are gone, or came."""
    felt: list[Felt]

    @property
    def errors(self) -> int:
        """All but those of prepared SELECT * after a change of the columns."""
        return sum(
            count
            for each in self.felt
            for text, count in each.errors.items()
            if not (each.kind == PREPARED_STAR and "cached plan must not change result type" in text)
        )

    @property
    def partial(self) -> int:
        """Of all kinds."""
        return sum(each.partial for each in self.felt)

    @property
    def longest_ms(self) -> float:
        """Of all but the control."""
        return max(each.longest_ms for each in self.felt if each.kind != CONTROL)

    @property
    def is_undisturbed(self) -> bool:
        """Whether no reader saw anything."""
        return not self.errors and not self.partial and not self.lost


Refresh = Callable[[], None]


def run(
    servers: Servers,
    seed: int,
    refreshes: int,
    kills: int,
    changes: Sequence[str],
    say: Callable[[str], None],
    every_tenth: Refresh | None = None,
    long_seconds: float = 5.0,
) -> Read:
    """Refresh so often, the kills and changes of columns in between, at random."""
    chance = random.Random(seed)
    mart = SimpleMart(servers.dbt, f"proof_read_{seed}", chance)
    mart.drop()
    servers.forget_served(mart.name)
    mart.create(_ROWS)
    busy = _Busy(servers, mart)
    busy.sync()
    views = Views(mart.name)
    views.make(servers)
    _make_untouched(servers, mart)
    wanted = views.state(servers.superuser)
    steps = _steps(chance, refreshes, kills, changes)
    api_url = servers.environment["GCC_READER_POSTGRES_URL"]
    place = Place(user_url(servers), api_url, views.relations, _UNTOUCHED, long_seconds)
    with reading(place) as seen:
        for number, step in enumerate(steps, 1):
            _do(busy, step)
            if every_tenth and number % 10 == 0:
                every_tenth()
    lost = sorted(wanted ^ views.state(servers.superuser))
    result = Read(refreshes, busy.modes, kills, len(changes), busy.refused, lost, _felt(seen, busy.versions))
    mart.drop()
    servers.forget_served(mart.name)
    say(
        f"  {refreshes} refreshes ({result.modes}), {kills} kills, {len(changes)} changes of columns: "
        f"{sum(each.reads for each in result.felt)} reads, {result.errors} errors, {result.partial} partial, longest "
        f"{result.longest_ms:.0f} ms, {len(lost)} things of users lost, {busy.refused} syncs refused"
    )
    for each in result.felt:
        times = f"p99 {each.p99_ms:.0f}, longest {each.longest_ms:.0f} ms"
        say(f"    {each.kind}: {each.reads} reads, {times}, {each.errors}")
    return result


class _Busy:
    """The mart while it is refreshed, and all versions that it ever had."""

    def __init__(self, servers: Servers, mart: SimpleMart) -> None:
        self.servers = servers
        self.mart = mart
        self.versions: set[Totals] = set()
        self.modes: dict[str, int] = {}
        self.refused = 0

    def sync(self) -> None:
        """Sync it, after its new version was noted."""
        self.versions.add(self.mart.totals())
        try:
            done = syncs.run(self.servers.source, self.servers.target, self.mart.mart, least_rows=LEAST_ROWS)
        except ViewBusy:
            self.refused += 1
            return
        self.modes[done.mode] = self.modes.get(done.mode, 0) + 1

    def killed(self) -> None:
        """A sync that is killed somewhere."""
        self.mart.refresh(_ROWS)
        self.versions.add(self.mart.totals())
        aim = self.mart.chance.randint(1, _STATEMENTS)
        sync_killed(self.servers, self.mart.mart, LEAST_ROWS, Way.PROCESS_AFTER, aim)


def _steps(chance: random.Random, refreshes: int, kills: int, changes: Sequence[str]) -> list[str]:
    steps = ["upsert", "build again"] * (refreshes // 2) + ["upsert"] * (refreshes % 2) + ["kill"] * kills
    chance.shuffle(steps)
    for place, change in zip(
        sorted(chance.sample(range(len(steps)), len(changes)), reverse=True), reversed(changes), strict=True
    ):
        steps.insert(place, change)
    return steps


def _do(busy: _Busy, step: str) -> None:
    if step == "kill":
        busy.killed()
        return
    if step == "build again":
        busy.mart.build_again()
    elif step == "upsert":
        busy.mart.refresh(_ROWS)
    else:
        busy.mart.alter(step)
    busy.sync()


def _felt(seen: Sequence[tuple[str, Seen]], versions: set[Totals]) -> list[Felt]:
    kinds = list(dict.fromkeys(kind for kind, _ in seen))
    return [_felt_by(kind, [found for name, found in seen if name == kind], versions) for kind in kinds]


def _felt_by(kind: str, seen: Sequence[Seen], versions: set[Totals]) -> Felt:
    seconds = [each for one in seen for each in one.seconds]
    errors: dict[str, int] = {}
    for one in seen:
        for text, count in one.errors.items():
            errors[text] = errors.get(text, 0) + count
    odd = {found for one in seen for _, found in one.totals} - versions if kind != CONTROL else set()
    p99 = statistics.quantiles(seconds, n=100)[98] if len(seconds) > 1 else 0.0
    return Felt(kind, len(seconds), errors, len(odd), p99 * 1000, max(seconds, default=0) * 1000)


def _make_untouched(servers: Servers, mart: SimpleMart) -> None:
    """A copy of the served rows, for the control."""
    execute = partial(servers.superuser.execute)
    execute(f"DROP TABLE IF EXISTS {_UNTOUCHED}".encode())
    execute(f"CREATE TABLE {_UNTOUCHED} AS SELECT * FROM serving.{mart.name}".encode())
    execute(f"GRANT SELECT ON {_UNTOUCHED} TO {USER}".encode())
