"""Archive files hold payloads: they are for their owner alone."""

import subprocess
import sys
from pathlib import Path

WRITE = """
import asyncio, os, sys
from datetime import UTC, datetime
os.umask(0o022)
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.archive.files import Files
from ingest_service.archive.records import read
now = datetime(2026, 11, 24, 3, tzinfo=UTC)
files = Files(sys.argv[1])
asyncio.run(files.write(files.new("order_log", now), [read(EVENT_TYPES["order_log"], b"{", {}, now)]))
"""


def test_archive_files_and_the_folders_made_for_them_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir(mode=0o755)
    before.chmod(0o755)
    subprocess.run([sys.executable, "-c", WRITE, str(before / "new" / "archive")], check=True)
    modes = {path: path.stat().st_mode & 0o777 for path in before.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert before.stat().st_mode & 0o777 == 0o755, "what was there before is left as it was"
