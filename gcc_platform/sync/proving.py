"""Proves a part of what is served in each sync, and keeps count of what was found different."""

from collections.abc import Sequence
from dataclasses import replace

from gcc_platform.sync import key_ranges, parity, state, versions
from gcc_platform.sync.ends import Ends, Found
from gcc_platform.sync.outcome import Options, Synced
from gcc_platform.sync.parity import Compared
from gcc_platform.sync.upserting import Changes


def proved(
    ends: Ends, found: Found, result: Synced, odd: Sequence[int], repaired: Compared, options: Options
) -> Synced:
    """Compare the key ranges that are due, except the odd ones, which were; record that the mart is as it is."""
    present = state.present(ends.postgres, found.mart.name)
    ranges = len(key_ranges.read(ends.postgres, present.table_name, found.columns).ranges)
    slot = present.next_range % key_ranges.MOST
    due = [
        number
        for number in set(range(ranges)).difference(odd)
        if options.compares_all or number * key_ranges.MOST // ranges == slot
    ]
    compared = parity.compare(ends, found, present, due, trusts_hashes=not options.compares_all)
    present = state.present(ends.postgres, found.mart.name)
    state.touch(
        ends.postgres,
        found.mart.name,
        replace(
            present,
            source_uuid=found.table.uuid,
            source_parts=found.table.parts,
            watermarks=found.rows.watermarks,
            changed_in_place=found.table.changed_in_place,
            next_range=slot + 1,
            mode=str(result.mode),
            run_id=options.run_id,
        ),
    )
    state.forget(ends.postgres, found.mart.name, "builds")
    versions.drop_old_versions(ends.postgres, found.mart.name)
    differences = [*repaired.differences, *compared.differences]
    changes = Changes()
    for difference in differences:
        changes = changes.plus(difference.changes)
    inserted, updated, deleted = changes.counts
    return replace(
        result,
        rows=present.rows,
        inserted=result.inserted + inserted,
        updated=result.updated + updated,
        deleted=result.deleted + deleted,
        compared=Compared(
            repaired.ranges + compared.ranges,
            repaired.rows + compared.rows,
            differences,
            repaired.seconds + compared.seconds,
        ),
    )


def counted(ends: Ends, result: Synced) -> Synced:
    """Count the syncs in a row that found something different."""
    present = state.present(ends.postgres, result.mart)
    is_different = result.written is not None or bool(result.compared.differences)
    differences = present.differences + 1 if is_different else 0
    if differences != present.differences:
        state.touch(ends.postgres, result.mart, replace(present, differences=differences))
    return replace(result, differences=differences)
