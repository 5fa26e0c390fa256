"""Checks GCC_SYNC_STAGE, if it is set: a few rows go there, come back and are deleted, as in a sync."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from gcc_platform import grants
from gcc_platform.commands.finding import Finding
from gcc_platform.resources import clickhouse
from gcc_platform.resources.clickhouse import ClickHouseFailed
from gcc_platform.resources.object_store import ObjectStore, ObjectStoreFailed
from gcc_platform.settings import Settings
from gcc_platform.stage_location import Bucket, StageLocation
from gcc_platform.sync.stage import StagedRowsLost, row_source

SUBJECT = "the sync's stage"
_MART = "doctor"
_DOCS = "docs/operations.md, Object storage between the servers"


def examine(settings: Settings) -> Iterator[Finding]:
    """Check that ClickHouse can write to the stage, and this process read, list and delete. Raises BadUrl."""
    location = settings.urls.sync_stage
    if location is None:
        return
    script = grants.STAGE if isinstance(location, Bucket) else grants.STAGE_FOLDER
    try:
        with (
            clickhouse.connect(settings.urls.sync_clickhouse, {"command": "doctor"}) as server,
            row_source(location, server, _MART, "") as rows,
        ):
            list(rows.tab_separated("SELECT number FROM numbers(3)"))
        left = _left(location)
    except ClickHouseFailed as error:
        yield Finding(SUBJECT, False, str(error), f"ClickHouse must be able to write there: run {script} ({_DOCS})")
    except (ObjectStoreFailed, StagedRowsLost) as error:
        yield Finding(SUBJECT, False, str(error), f"this process must be able to read, list and delete there: {_DOCS}")
    else:
        advice = f"this process must be able to delete there: {_DOCS}"
        yield Finding(SUBJECT, not left, f"{location}: rows go there, come back, and {_fate(left)}", advice)


def _fate(left: int) -> str:
    return f"{left} objects stay" if left else "are deleted"


def _left(location: StageLocation) -> int:
    """How many objects of the doctor are there. A clock that is ahead does not hide them."""
    names = ObjectStore(location).older_than(datetime.now(UTC) + timedelta(days=1))
    return sum(name.startswith(f"{_MART}/") for name in names)
