"""The README's steps, followed to the letter."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gcc_platform.local_stack.ports import pick_free
from tests.harness.running import eventually, query

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the service with the files that the README adds for a made-up event type."""
    shutil.copytree(ROOT / "ingest_service", tmp_path / "ingest_service", ignore=shutil.ignore_patterns("__pycache__"))
    section = README.partition("## Add an event type")[2].partition("\n## ")[0]
    files = re.findall(r"`(ingest_service/\S+)`[^`]*(?:`\w+`[^`]*)?```\w+\n(.*?)```", section, re.DOTALL)
    assert [Path(name).suffix for name, _ in files] == [".py", ".sql"]
    for name, text in files:
        (tmp_path / name).write_text(re.sub(r"^   ", "", text, flags=re.MULTILINE))
    return tmp_path


def _gcc_ingest(tree: Path, stack: Mapping[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
    run_main = "from ingest_service.cli import main; main(prog_name='gcc-ingest')"
    environment = {**os.environ, **stack, "GCC_HTTP_PORT": str(pick_free(1)[0]), "GCC_FLUSH_SECONDS": "0.1"}
    return subprocess.Popen([sys.executable, "-c", run_main, *arguments], cwd=tree, env=environment)


def test_adding_an_event_type_takes_the_two_files_that_the_readme_shows(stack: Mapping[str, str], tree: Path) -> None:
    assert _gcc_ingest(tree, stack, "init").wait(60) == 0
    event = {
        "event_id": "00000000-0000-4000-8000-000000000001",
        "source": "graphapi",
        "platform": "INSTAGRAM",
        "profile_id": "1",
        "story_id": "s",
        "event_timestamp": "2026-01-15 09:30:00",
        "metrics": {"views": 5},
        "dimensions": {},
    }
    (tree / "stories.ndjson").write_text(json.dumps(event))
    assert _gcc_ingest(tree, stack, "publish", "story_log", "stories.ndjson").wait(60) == 0
    service = _gcc_ingest(tree, stack, "run")
    try:
        count = "SELECT count() FROM _e.story_log_events WHERE story_id = 's'"
        eventually(lambda: query(stack["CLICKHOUSE_URL"], count) == "1\n")
    finally:
        service.terminate()
        assert service.wait(30) == 0
        query(stack["CLICKHOUSE_URL"], "DROP TABLE _e.story_log_events")


def test_every_command_of_the_table_exists() -> None:
    commands = set(re.findall(r"^\| `(gcc-\w+) ([\w-]+)", README, re.MULTILINE))
    assert len(commands) >= 8
    for program, command in sorted(commands):
        done = subprocess.run(
            [Path(sys.executable).with_name(program), command, "--help"], capture_output=True, check=False
        )
        assert done.returncode == 0, f"{program} {command}"


def test_every_link_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
