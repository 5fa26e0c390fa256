"""What waits in spools is listed beside the crawlers that own them, and nothing of it is changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from ingest_service.cli import main
from ingest_service.publisher import EventPublisher, segment
from ingest_service.publisher.record import Record
from ingest_service.publisher.spool_list import waiting

WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""Root may read every folder."""
NOWHERE = "amqp://127.0.0.1:1/"


def event(event_id: str) -> dict[str, str]:
    return {"event_id": event_id, "source": "s", "platform": "p", "profile_id": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spools"


async def test_the_events_of_all_spools_below_a_directory_are_listed_while_their_crawlers_run(folder: Path) -> None:
    ids = [str(uuid4()) for _ in range(6)]
    async with (
        EventPublisher(NOWHERE, folder / "0", exit_seconds=0) as gone,
        EventPublisher(NOWHERE, folder / "1", exit_seconds=0) as other,
    ):
        for event_id in ids[:3]:
            await gone.emit("profile_log", event(event_id))
        for event_id in ids[3:]:
            await other.emit("profile_log", event(event_id))
    async with EventPublisher(NOWHERE, folder / "1", exit_seconds=0):
        lines = listed(str(folder), "--json")
    found = [json.loads(line) for line in lines]
    assert [each["event_id"] for each in found] == ids
    assert {each["routing_key"] for each in found} == {"profile_log_events"}
    assert listed(str(folder))[0].split("\t")[0] == ids[0]


async def test_the_incomplete_end_of_a_file_is_left_out_and_stays(folder: Path) -> None:
    event_id = str(uuid4())
    async with EventPublisher(NOWHERE, folder, exit_seconds=0) as publisher:
        await publisher.emit("profile_log", event(event_id))
    file = only_file(folder)
    torn = file.read_bytes() + file.read_bytes()[8:30]
    file.write_bytes(torn)
    assert [line.split("\t")[0] for line in listed(str(folder))] == [event_id]
    assert file.read_bytes() == torn


async def test_a_file_that_is_sent_meanwhile_is_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, gone = str(uuid4()), str(uuid4())
    for name, event_id in (("0", gone), ("1", kept), ("2", gone)):
        async with EventPublisher(NOWHERE, folder / name, exit_seconds=0) as publisher:
            await publisher.emit("profile_log", event(event_id))
    events = waiting(folder)
    assert next(events).event_id == gone
    shutil.rmtree(folder / "2")  # the names are read, the file is not
    assert [each.event_id for each in events] == [kept]


def test_a_folder_that_cannot_be_read_is_an_error_and_not_a_shorter_list(folder: Path) -> None:
    closed = folder / "0"
    closed.mkdir(0, parents=True)
    command = [*WITHOUT_PRIVILEGES, Path(sys.executable).with_name("gcc-ingest"), "spool", "list", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    closed.chmod(0o700)
    assert done.returncode == 2
    assert f"{closed} cannot be read: Permission denied" in done.stderr


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(folder: Path) -> None:
    folder.mkdir()
    (folder / "1.spool").symlink_to("/proc/self/mem")  # root cannot read it either
    done = CliRunner().invoke(main, ["spool", "list", str(folder)])
    assert done.exit_code == 2
    assert f"{folder / '1.spool'} cannot be read: Input/output error" in done.output


def test_of_several_directories_none_is_listed_if_one_does_not_exist(folder: Path) -> None:
    folder.mkdir()
    done = CliRunner().invoke(main, ["spool", "list", str(folder), str(folder / "none")])
    assert done.exit_code == 2
    assert f"{folder / 'none'} is not a directory" in done.output


def test_an_event_without_an_id_is_an_error_that_names_its_file(folder: Path) -> None:
    folder.mkdir()
    file = folder / "1.spool"
    file.write_bytes(segment.MAGIC + segment.packed([Record("profile_log_events", b"{}")], 0))
    done = CliRunner().invoke(main, ["spool", "list", str(folder)])
    assert done.exit_code == 2
    assert f"{file} has an event without an event_id" in done.output


def test_a_directory_that_does_not_exist_is_an_error_that_names_it(folder: Path) -> None:
    done = CliRunner().invoke(main, ["spool", "list", str(folder)])
    assert done.exit_code == 2
    assert f"{folder} is not a directory" in done.output


def only_file(folder: Path) -> Path:
    [file] = folder.rglob("*.spool")
    return file


def listed(*arguments: str) -> list[str]:
    done = CliRunner().invoke(main, ["spool", "list", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()
