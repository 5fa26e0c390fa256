"""Serves HTTP and TCP from the ClickHouse engine inside chdb's extension module.

usage: python clickhouse_engine.py RUN_DIR DATA_DIR

RUN_DIR holds config.xml. SIGTERM and SIGINT stop it with exit code 0; any other end is a failure with code 1.

The extension is not a documented API: its version is pinned in pyproject.toml, and the stack's tests fail if an
upgrade breaks this. chdb is clickhouse-local in a library, and clickhouse-local can open its listeners
(`SYSTEM START LISTEN`, since 26.6) while a query runs. Therefore one query waits on a pipe until a signal arrives. The
engine must be loaded without `import chdb`, which opens a second engine that takes over the configuration and the log.
"""

import importlib.machinery
import importlib.util
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def load_engine() -> ModuleType:
    """Load chdb's extension module alone. Raises ImportError if chdb-core is not installed."""
    package = importlib.util.find_spec("chdb")
    if package is None or package.origin is None:
        raise ImportError("chdb-core is not installed; run make setup")
    library = str(Path(package.origin).with_name("_chdb.abi3.so"))
    loader = importlib.machinery.ExtensionFileLoader("_chdb", library)
    engine = importlib.util.module_from_spec(importlib.machinery.ModuleSpec("_chdb", loader, origin=library))
    loader.exec_module(engine)
    return engine


def keep_system_database(data: Path) -> None:
    """Define the database `system` on disk, so that query_log and part_log survive a restart."""
    definition = data / "metadata" / "system.sql"
    if not definition.exists():
        definition.parent.mkdir(parents=True, exist_ok=True)
        definition.write_text(f"ATTACH DATABASE _ UUID '{uuid.uuid4()}'\nENGINE = Atomic\n")


def serve(engine: ModuleType, data: Path, until: int) -> str:
    """Listen until the pipe with the read end `until` closes. Returns the error, or an empty string."""
    wait = (
        f"SELECT count() FROM file('/proc/self/fd/{until}', 'LineAsString', 'l String') "  # noqa: S608  a number
        "SETTINGS storage_file_read_method = 'read', max_execution_time = 0, max_threads = 1, log_queries = 0"
    )
    result = engine.query(
        f"SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; {wait}",
        "TabSeparated",  # the default format of HTTP answers
        path=str(data),
    )
    return str(result.error_message()) if result.has_error() else ""


def in_thread(work: Callable[[], str], done: threading.Event) -> tuple[threading.Thread, list[str]]:
    """Run `work` in a thread that sets `done` at its end. The list receives the error that it returned or raised."""
    errors: list[str] = []

    def run() -> None:
        try:
            errors.append(work())
        except BaseException as error:  # noqa: BLE001  any reason for the engine's end is reported
            errors.append(repr(error))
        finally:
            done.set()

    thread = threading.Thread(target=run, name="clickhouse")
    thread.start()
    return thread, errors


def main() -> int:
    """Serve until a signal arrives. Returns the exit code."""
    run_directory, data = (Path(argument).absolute() for argument in sys.argv[1:])
    done, asked = threading.Event(), threading.Event()

    def ask_to_stop(*_: object) -> None:
        asked.set()
        done.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    keep_system_database(data)
    engine = load_engine()
    os.chdir(run_directory)  # clickhouse-local reads ./config.xml
    waiting, closing = os.pipe()
    thread, errors = in_thread(lambda: serve(engine, data, waiting), done)
    done.wait()
    os.close(closing)
    thread.join()
    if asked.is_set() and not errors[0]:
        return 0
    # A used port or a locked directory ends the query without an error; the server's own log has the reason.
    sys.stderr.write(f"ClickHouse ended on its own: {errors[0] or 'see its log for the reason'}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
