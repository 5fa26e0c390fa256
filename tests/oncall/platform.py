"""The whole platform as separate processes, each of which a fault may kill, stop and start again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gcc_platform.commands.managed_process import ManagedProcess
from gcc_platform.local_stack.alertmanager import USER, Alertmanager
from gcc_platform.local_stack.ports import Ports, pick_free
from gcc_platform.local_stack.process import Process
from gcc_platform.local_stack.stack import Stack
from tests.chaos.tmpfs import Tmpfs
from tests.conftest import NAMES
from tests.harness.running import eventually, run
from tests.oncall.receivers import Received

PROGRAMS = Path(sys.executable).parent

_WORKSPACE = """
load_from:
  - python_file: {{relative_path: {definitions}, location_name: gcc}}
"""


_SCHEDULE_ID = """
query ($selector: ScheduleSelector!) { scheduleOrError(scheduleSelector: $selector) { ... on Schedule { id } } }
"""
_WHOLE = "from gcc_platform.definitions import defs\n"
_RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "gcc") { __typename } }'
_LAUNCH = """
mutation ($parameters: ExecutionParams!) { launchRun(executionParams: $parameters) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
_DELETE_RUN = "mutation ($id: String!) { deletePipelineRun(runId: $id) { __typename } }"
_STOP_SCHEDULE = """
mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename } }
"""


_DISK_BYTES = 1 << 30
_FILLER = "filler"
_FILLER_BYTES = 400 << 20


class QuickAlertmanager(Alertmanager):
    """With the routes of deploy/alertmanager and shorter times, so that an end is reported sooner."""

    group_interval = "5s"

    def prepare(self) -> None:
        super().prepare()
        file = self.directory / "alertmanager.yml"
        file.write_text(
            file.read_text().replace('"group_interval": "1m"', f'"group_interval": "{self.group_interval}"')
        )


class Platform:
    """Servers, services, Dagster, Alertmanager and the watch. Its settings are in `environment`."""

    def __init__(self, directory: Path, received: Received, watch_seconds: float) -> None:
        self.directory = directory
        self.received = received
        ports = Ports.free()
        self.http, self.archive_http, self.dagster_port, self.watch_port = pick_free(4, excluding=vars(ports).values())
        self.stack = Stack(directory, ports, fast=True)
        self.alertmanager = QuickAlertmanager(
            directory / "alertmanager_of_the_test", ports, {USER: "secret"}, fast=True
        )
        self.disk = Tmpfs(directory / "dagster_home")
        self.definitions = directory / "definitions.py"
        self._urls: Mapping[str, str] = {}
        self._own = {
            "GCC_LOCAL_DIR": str(directory),
            "DAGSTER_HOME": str(directory / "dagster_home"),
            "GCC_HTTP_PORT": str(self.http),
            "GCC_ARCHIVE_HTTP_PORT": str(self.archive_http),
            "GCC_DAGSTER_PORT": str(self.dagster_port),
            "GCC_WATCH_PORT": str(self.watch_port),
            "GCC_WATCH_SECONDS": str(watch_seconds),
            "GCC_FLUSH_SECONDS": "0.5",
            "GCC_ARCHIVE_SECONDS": "2",
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        }
        self._receivers = {
            "GCC_ALERT_WEBHOOK_URL": f"http://127.0.0.1:{received.http_port}/alerts",
            "GCC_ALERT_DEADMAN_URL": f"http://127.0.0.1:{received.http_port}/deadman",
            "GCC_ALERT_EMAIL_TO": "oncall@example.com",
            "GCC_ALERT_SMTP_URL": f"smtp://127.0.0.1:{received.smtp_port}",
        }
        self.ingest = self._process("ingest", ["gcc-ingest", "run"], lambda: self.get(self.http, "/ready") is not None)
        self.archive = self._process("archive", ["gcc-ingest", "archive"])
        self.watch = self._process(
            "watch", ["gcc-platform", "watch"], lambda: self.get(self.watch_port, "/heartbeat") is not None
        )
        workspace = ["-w", str(directory / "workspace.yaml")]
        listen = ["-h", "127.0.0.1", "-p", str(self.dagster_port)]
        self.webserver = self._process("webserver", ["dagster-webserver", *workspace, *listen], self._dagster_is_ready)
        self.daemon = self._process("daemon", ["dagster-daemon", "run", *workspace])

    @property
    def environment(self) -> dict[str, str]:
        """The complete environment of a process."""
        outside = {name: value for name, value in os.environ.items() if name not in NAMES}
        return {**outside, **self._urls, **self._own, **self.alertmanager.environment()}

    def open(self) -> None:
        """Start everything, the watch last."""
        with _environment(self._receivers), _without(NAMES):
            self.alertmanager.start(threading.Event())
            self.start_servers()
        assert run(self.environment, "init").returncode == 0
        self.definitions.write_text(_WHOLE)
        (self.directory / "workspace.yaml").write_text(_WORKSPACE.format(definitions=self.definitions.name))
        self.disk.mount(_DISK_BYTES)
        (self.directory / "dagster_home").mkdir(exist_ok=True)
        (self.directory / "dagster_home" / "dagster.yaml").write_text((_ROOT / "dagster.yaml").read_text())
        for group in ((self.ingest, self.archive, self.webserver, self.daemon), (self.watch,)):
            for process in group:
                process.start(self.environment)
            for process in group:
                process.wait()
        self._stop_schedule()

    def close(self) -> None:
        """Stop everything, whatever state it is in."""
        for process in (self.watch, self.daemon, self.webserver, self.archive, self.ingest):
            self.signal(process, signal.SIGCONT)
            process.stop()
        self.alertmanager.stop()
        self.stack.stop()
        self.disk.unmount()

    def load_definitions(self, text: str = _WHOLE) -> None:
        """Change the code that Dagster loads, by default back to the platform's own, and load it."""
        self.definitions.write_text(text)
        self.graphql(_RELOAD)

    def signal(self, process: ManagedProcess, number: signal.Signals) -> None:
        """Send a signal to a process and its children."""
        if pid := process.process.pid():
            os.killpg(pid, number)

    def kill(self, process: ManagedProcess) -> None:
        """SIGKILL."""
        self.signal(process, signal.SIGKILL)
        eventually(lambda: not process.process.running())

    def start(self, process: ManagedProcess) -> None:
        """Start a process that was killed, and wait until it is ready."""
        process.start(self.environment)
        process.wait()

    def kill_server(self, name: str) -> None:
        """SIGKILL of a server of the local stack."""
        [status] = [status for status in self.stack.status() if status.name == name]
        assert status.pid
        os.killpg(status.pid, signal.SIGKILL)
        eventually(lambda: not next(each.pid for each in self.stack.status() if each.name == name))

    def start_servers(self) -> None:
        """Start the servers that do not run."""
        with _environment(self.alertmanager.environment()):
            self._urls = self.stack.start(print)

    def publish(self, event_type: str, events: Sequence[Mapping[str, object]]) -> None:
        """Publish events as `gcc-ingest publish` does."""
        lines = "".join(json.dumps(event) + "\n" for event in events)
        done = run(self.environment, "publish", event_type, "-", stdin=lines.encode())
        assert done.returncode == 0, done.stderr.decode()

    def refresh(self, *, succeeds: bool = True) -> None:
        """The 15-minute job, once, in a process of its own."""
        self.command("refresh", succeeds=succeeds)

    def launch(self, job: str) -> str:
        """Start a run; its id."""
        selector = {"repositoryName": "__repository__", "repositoryLocationName": "gcc", "jobName": job}
        answer = self.graphql(_LAUNCH, parameters={"selector": selector, "mode": "default"})["launchRun"]
        assert "run" in answer, answer
        return str(answer["run"]["runId"])

    def delete_run(self, run_id: str) -> None:
        """Delete a run from Dagster's history."""
        self.graphql(_DELETE_RUN, id=run_id)

    def fill_disk(self) -> None:
        """Leave 3 % of Dagster's disk free, of so large a disk that what Dagster writes meanwhile does not show."""
        folder = self.directory / "dagster_home"
        with (folder / _FILLER).open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, _FILLER_BYTES)
        usage = shutil.disk_usage(folder)
        subprocess.run(
            ["mount", "-o", f"remount,size={int((usage.used + 4096) / 0.97)}", folder], check=True, capture_output=True
        )

    def empty_disk(self) -> None:
        """Make room again."""
        (self.directory / "dagster_home" / _FILLER).unlink()
        self.disk.empty()

    def restart_watch(self) -> None:
        """A new watch, which remembers nothing."""
        self.watch.start(self.environment)
        self.watch.wait()

    def restart_alertmanager(self) -> None:
        """Stop it, and start it again with its data."""
        self.alertmanager.stop()
        with _environment(self._receivers):
            self.alertmanager.start(threading.Event())

    def command(self, *arguments: str, succeeds: bool = True) -> str:
        """The output of a gcc-platform command, which succeeds or does not, as said."""
        done = subprocess.run(
            [PROGRAMS / "gcc-platform", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return done.stdout

    def states(self, name: str) -> list[str]:
        """The states of the alerts of a name, as the status page has them."""
        report = self.get(self.watch_port, "/status.json")
        return [line["state"] for line in report["alerts"] if line["name"] == name] if report else []

    def get(self, port: int, path: str) -> Any:
        """The JSON, or else the text, of one of our HTTP servers; None if it does not answer with 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return None
        try:
            return json.loads(text)
        except ValueError:
            return text

    def graphql(self, query: str, **variables: Any) -> Any:
        """The data of an answer of Dagster."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.dagster_port}/graphql", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def alerts(self) -> list[str]:
        """The names of what fires, as the status page has it."""
        report = self.get(self.watch_port, "/status.json")
        return [line["name"] for line in report["alerts"]] if report else []

    def wait_well(self, seconds: float = 120) -> None:
        """Wait until nothing fires."""
        try:
            eventually(lambda: self.get(self.watch_port, "/status.json") and not self.alerts(), seconds)
        except AssertionError:
            report = self.get(self.watch_port, "/status.json")
            found = report["alerts"] if report else "the watch does not answer"
            raise AssertionError(f"still firing: {found}") from None

    def _stop_schedule(self) -> None:
        """A refresh in the middle of a fault would fail, which is another alert until the next one."""
        selector = {
            "repositoryName": "__repository__",
            "repositoryLocationName": "gcc",
            "scheduleName": "every_15_minutes",
        }
        states = self.graphql(_SCHEDULE_ID, selector=selector)["scheduleOrError"]
        self.graphql(_STOP_SCHEDULE, id=states["id"])

    def _process(self, name: str, command: list[str], ready: Callable[[], bool] = lambda: True) -> ManagedProcess:
        return ManagedProcess(
            name, Process(self.directory / f"{name}_process"), [str(PROGRAMS / command[0]), *command[1:]], ready
        )

    def _dagster_is_ready(self) -> bool:
        if self.get(self.dagster_port, "/server_info") is None:
            return False
        entries = self.graphql("{workspaceOrError{...on Workspace{locationEntries{locationOrLoadError{__typename}}}}}")
        loaded = [each["locationOrLoadError"] for each in entries["workspaceOrError"]["locationEntries"]]
        return bool(loaded) and all(each and each["__typename"] == "RepositoryLocation" for each in loaded)


_ROOT = Path(__file__).parents[2]


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """The local stack reads the process's environment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    with ExitStack() as restored:
        for name in names:
            if (value := os.environ.pop(name, None)) is not None:
                restored.callback(os.environ.__setitem__, name, value)
        yield
