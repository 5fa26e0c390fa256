import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import generate_latest

from gcc_platform.local_stack.ports import pick_free
from ingest_service.archive import metrics
from ingest_service.archive.health import ArchiveHealth, QueueHealth
from ingest_service.events.validation import Reason
from tests.harness.archiving import archiving, letter_headers, put
from tests.harness.running import eventually


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_ready_and_metrics_say_what_is_archived(environment: Mapping[str, str], tmp_path: Path) -> None:
    (port,) = pick_free(1)
    with archiving({**environment, "GCC_ARCHIVE_HTTP_PORT": str(port)}, tmp_path / "log"):
        eventually(lambda: get(port, "/ready")[0] == 200)
        started = time.time()
        put(environment, "order_log", [(b"{", letter_headers("not_json")), (b"x", letter_headers("\x1b[31m"))])
        eventually(lambda: json.loads(get(port, "/status")[1])["queues"]["order_log"]["archived"] != {})
        status = json.loads(get(port, "/status")[1])
        assert status["queues"]["order_log"] == {
            "archived": {"not_json": 1, "other": 1}, "failures": 0, "failing": "", "held": 0, "waiting": ""
        }  # fmt: skip
        assert started <= status["last_file_at"] <= time.time()
        shown = get(port, "/metrics")[1]
        assert 'gcc_archive_archived_total{reason="not_json",type="order_log"} 1.0' in shown
        assert "process_resident_memory_bytes" in shown


def test_ready_says_why_letters_are_not_archived(environment: Mapping[str, str], tmp_path: Path) -> None:
    (port,) = pick_free(1)
    folder = tmp_path / "archive"
    with archiving({**environment, "GCC_ARCHIVE_HTTP_PORT": str(port)}, tmp_path / "log"):
        eventually(lambda: get(port, "/ready")[0] == 200)
        folder.mkdir(exist_ok=True)
        (folder / "order_log").write_text("a file where a folder should be")
        put(environment, "order_log", [(b"{", letter_headers("not_json"))])
        eventually(lambda: get(port, "/ready")[0] == 503)
        assert "order_log" in json.loads(get(port, "/ready")[1])["obstacles"]
        (folder / "order_log").unlink()
        eventually(lambda: get(port, "/ready")[0] == 200)


def test_every_type_and_reason_has_a_series_from_the_start() -> None:
    shown = generate_latest(metrics.registry(ArchiveHealth({"order_log": QueueHealth("order_log")}))).decode()
    for reason in Reason:
        assert f'gcc_archive_archived_total{{reason="{reason}",type="order_log"}} 0.0' in shown
