"""The doctor states how much of ClickHouse's disks is free, and what to do when that is too little."""

import shutil
import threading
from pathlib import Path

from gcc_platform.commands import disk_space
from gcc_platform.commands.finding import Finding
from gcc_platform.local_stack.clickhouse import ClickHouse
from gcc_platform.local_stack.ports import Ports
from gcc_platform.resources import clickhouse


class AlmostFull(ClickHouse):
    """ClickHouse may use all of its disk but what is free now."""

    def prepare(self) -> None:
        super().prepare()
        file = self.directory / "config.xml"
        kept = shutil.disk_usage(self.directory).free - 10**6
        disks = f"<disks><default><keep_free_space_bytes>{kept}</keep_free_space_bytes></default></disks>"
        storage = f"<storage_configuration>{disks}</storage_configuration></clickhouse>"
        file.write_text(file.read_text().replace("</clickhouse>", storage))


def findings(server: ClickHouse) -> list[Finding]:
    with clickhouse.connect(server.environment()["CLICKHOUSE_URL"], {"command": "doctor"}) as connection:
        return list(disk_space.of_clickhouse(connection, "ClickHouse, ingest"))


def test_a_disk_with_too_little_room_is_named_with_the_figures_and_what_to_do(tmp_path: Path) -> None:
    server = AlmostFull(tmp_path, Ports.free(), dict.fromkeys(ClickHouse.users, "doctor"), fast=True)
    try:
        server.start(threading.Event())
        [finding] = findings(server)
    finally:
        server.stop()
    assert not finding.ok
    assert finding.message.startswith("disk default: 0.0 of ")
    assert finding.message.endswith("GB are free (0%)")
    assert finding.advice.startswith("Free space, or enlarge the disk")
