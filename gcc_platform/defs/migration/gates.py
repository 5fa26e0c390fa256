"""The gates of the migration as checks of its assets, which block what comes after them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from gcc_platform.defs.migration import keys
from gcc_platform.migration.gates import checked, measured
from gcc_platform.migration.gates.gate import GATES
from gcc_platform.migration.gates.results import GateResult
from gcc_platform.migration.phases.phase import Phase

OF_PARITY = (
    measured.PREPARED,
    measured.BACKFILL_SEALED,
    checked.TOTALS_AGREE,
    checked.ROWS_EXPLAINED,
    checked.NOTHING_LOST,
    measured.DEAD_LETTERS_EMPTY,
)
"""Those that a check of a table decides."""

OF_DAEMONS: Mapping[str, str] = {measured.TAIL_CAUGHT_UP: "tail", measured.REVERSE_CAUGHT_UP: "reverse"}
"""Those of the daemons, with the step that each belongs to."""


def specs(key: dg.AssetKey, names: Iterable[str], *, blocking: bool) -> Sequence[dg.AssetCheckSpec]:
    """Checks of an asset."""
    return [dg.AssetCheckSpec(name, asset=key, description=GATES[name].meaning, blocking=blocking) for name in names]


def nothing_to_check(key: dg.AssetKey, names: Iterable[str], why: str) -> Iterator[dg.AssetCheckResult]:
    """The results of checks that have nothing to look at."""
    for name in names:
        yield dg.AssetCheckResult(asset_key=key, check_name=name, passed=True, description=why)


def severity(phase: Phase) -> dg.AssetCheckSeverity:
    """Of a red gate: before both sides were the same, it is what the migration works on."""
    is_expected = phase in (Phase.LEGACY, Phase.DUAL)
    return dg.AssetCheckSeverity.WARN if is_expected else dg.AssetCheckSeverity.ERROR


def check_results(
    key: dg.AssetKey, found: Iterable[GateResult], names: Iterable[str], severity: dg.AssetCheckSeverity
) -> Iterator[dg.AssetCheckResult]:
    """What was found, as results of those checks."""
    wanted = set(names)
    for each in found:
        if each.gate in wanted:
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=each.gate,
                passed=each.passed,
                description=each.reason,
                severity=severity,
                metadata={name: _metadata(value) for name, value in each.detail.items()},
            )


def evaluation(table: str, found: GateResult) -> dg.AssetCheckEvaluation:
    """What a daemon's gate found, for a sensor. The watch has alerts of its own for daemons that stop."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey([keys.GROUP, f"{table}_{OF_DAEMONS[found.gate]}"]),
        check_name=found.gate,
        passed=found.passed,
        description=found.reason,
        metadata={name: _metadata(value) for name, value in found.detail.items()},
        severity=dg.AssetCheckSeverity.WARN,
        blocking=False,
    )


def _metadata(value: object) -> dg.MetadataValue:
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    return dg.MetadataValue.float(value) if isinstance(value, float) else dg.MetadataValue.text(str(value))
