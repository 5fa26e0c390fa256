"""What the private ClickHouse needs to write to GCC_SYNC_STAGE. Without that setting it may write nothing anywhere."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from gcc_platform import grants
from gcc_platform.grants import Grant
from gcc_platform.local_stack.errors import StackError
from gcc_platform.stage_location import COLLECTION, SETTING, Bucket, Folder, StageLocation


def user_files(stage: StageLocation | None, data: Path) -> Path:
    """The only folder whose files a server reads and writes for its users. The engine in chdb has no such limit."""
    return stage.path if isinstance(stage, Folder) else data / "user_files"


def grants_of_sync(stage: StageLocation | None) -> Sequence[Grant]:
    """What the sync's user needs besides its own grants."""
    if stage is None:
        return ()
    return grants.stage_folder() if isinstance(stage, Folder) else grants.stage_bucket(_url(stage))


def named_collection(stage: StageLocation | None) -> str:
    """The configuration of the named collection, and of grants that separate reading from writing."""
    if stage is None:
        return ""
    split = (
        "<access_control_improvements><enable_read_write_grants>true</enable_read_write_grants>"
        "</access_control_improvements>"
    )
    if isinstance(stage, Folder):
        return split
    values = {"url": _url(stage), "access_key_id": stage.key or "", "secret_access_key": stage.secret or ""}
    parts = "".join(f'<{name} overridable="0">{escape(value)}</{name}>' for name, value in values.items())
    return f"{split}<named_collections><{COLLECTION}>{parts}</{COLLECTION}></named_collections>"


def _url(stage: Bucket) -> str:
    if stage.endpoint is None or stage.key is None:
        raise StackError(
            f"{SETTING}={stage}: the local ClickHouse has no keys of its own for a bucket. "
            f"Set {SETTING} to https://key:secret@host/bucket/prefix, or to a folder"
        )
    return f"{stage}/"
