import gzip
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from ingest_service.commands.simulator import Simulator
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.running import Table, eventually, run, service

Environment = Mapping[str, str]
UNREACHABLE = {"AMQP_URL": "amqp://u:s3cret@127.0.0.1:1/", "CLICKHOUSE_URL": "http://u:s3cret@127.0.0.1:1"}


def lines(count: int) -> list[bytes]:
    simulator = Simulator(seed=5)
    return [simulator.event("order_log") for _ in range(count)]


def test_init_may_be_run_again(environment: Environment) -> None:
    again = run(environment, "init")
    assert again.returncode == 0
    assert "broker: 0 created" in again.stdout.decode()


@pytest.mark.parametrize("kind", ["plain", "gzip", "stdin"])
def test_publish_confirms_every_event_of_a_file(environment: Environment, tmp_path: Path, kind: str) -> None:
    text = b"\n".join(lines(1_203)) + b"\n\n"
    file = tmp_path / "events.ndjson"
    file.write_bytes(gzip.compress(text) if kind == "gzip" else text)
    stdin = text if kind == "stdin" else b""
    done = run(environment, "publish", "order_log", "-" if kind == "stdin" else str(file), stdin=stdin)
    assert (done.returncode, done.stdout) == (0, b"1203 events confirmed\n"), done.stderr
    with service(environment, tmp_path) as running:
        running.wait_ready()
        eventually(lambda: Table(environment, "_e.order_log_events").count() == 1_203)


def test_a_line_that_is_not_json_is_named_and_what_came_before_it_is_published(
    environment: Environment, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join([*lines(600), b"id,name", *lines(1)]))
    done = run(environment, "publish", "order_log", str(file))
    assert done.returncode == 1
    assert f"{file}, line 601 is not a JSON object" in done.stderr.decode()
    assert "id,name" not in done.stderr.decode(), "no payload on the terminal"
    assert done.stdout == b"600 events confirmed\n"


@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_a_line_that_is_too_long_is_named_and_never_in_memory(
    environment: Environment, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "events.ndjson"
    with gzip.open(file, "wb", 1) if kind == "gzip" else file.open("wb") as out:
        out.write(b"\n".join([*lines(3), b'{"a": "']))
        for _ in range(300):
            out.write(b"x" * 2**20)
        out.write(b'"}\n')
    done = run(environment, "publish", "order_log", str(file), most_bytes=300 * 2**20)  # the program alone maps 80
    assert done.returncode == 1
    assert f"{file}, line 4 is longer than 4194304 bytes" in done.stderr.decode()
    assert "xxx" not in done.stderr.decode()
    assert done.stdout == b"3 events confirmed\n"


def test_many_long_lines_are_published_in_bounded_memory(environment: Environment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson.gz"
    padded = lines(1)[0][:-1] + b', "padding": "' + b"x" * 2**20 + b'"}\n'
    with gzip.open(file, "wb", 1) as out:
        for _ in range(300):
            out.write(padded)
    done = run(environment, "publish", "order_log", str(file), most_bytes=400 * 2**20)
    assert (done.returncode, done.stdout) == (0, b"300 events confirmed\n"), done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "line 1 is not a JSON object"),
        (b'{"\xff": 1}', "line 1 is not UTF-8"),
        (b"{}" + b" " * 200, "line 1 is longer than 100 bytes"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_without_a_traceback(
    environment: Environment, text: bytes, said: str
) -> None:
    limit = "100" if "100 bytes" in said else "4194304"
    done = run({**environment, "GCC_MAX_BODY_BYTES": limit}, "publish", "order_log", "-", stdin=text)
    assert (done.returncode, done.stdout) == (1, b"0 events confirmed\n")
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_gzip_file_that_ends_too_early_is_an_error(environment: Environment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson.gz"
    file.write_bytes(gzip.compress(b"\n".join(lines(50)))[:-20])
    done = run(environment, "publish", "order_log", str(file))
    assert done.returncode == 1
    assert "is not a whole gzip file" in done.stderr.decode()


def test_an_unknown_event_type_is_refused_with_the_ones_there_are(environment: Environment) -> None:
    done = run(environment, "publish", "no_such_log", "-")
    assert done.returncode == 2
    assert all(name in done.stderr.decode() for name in EVENT_TYPES)


def test_a_file_that_is_not_there_is_named(environment: Environment) -> None:
    done = run(environment, "publish", "order_log", "no/such/file")
    assert done.returncode == 1
    assert "no/such/file" in done.stderr.decode()


@pytest.mark.parametrize("arguments", [("init",), ("publish", "order_log", "-")])
def test_a_server_that_is_away_is_named_without_its_password(arguments: tuple[str, ...]) -> None:
    done = run(UNREACHABLE, *arguments, stdin=b"{}")
    assert done.returncode == 1
    assert "u@127.0.0.1:1" in done.stderr.decode()
    assert "s3cret" not in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize("arguments", [("init",), ("run",), ("simulate",), ("publish", "order_log", "-")])
def test_a_url_that_is_not_set_is_named_with_the_way_out(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run({"AMQP_URL": "", "CLICKHOUSE_URL": "", "GCC_LOCAL_DIR": str(tmp_path)}, *arguments, stdin=b"{}")
    assert done.returncode == 1
    assert "_URL is not set" in done.stderr.decode()
    assert "gcc-platform stack start" in done.stderr.decode()


@pytest.mark.parametrize("url", ["nonsense s3cret", "http://u:s3cret@host", "amqp://u:s3cret@host:port", "amqp://"])
def test_a_url_that_is_none_is_named_without_its_value(environment: Environment, url: str) -> None:
    done = run({**environment, "AMQP_URL": url}, "publish", "order_log", "-", stdin=b"{}")
    assert done.returncode == 1
    assert "AMQP_URL is not a URL of the form amqp://" in done.stderr.decode()
    assert "s3cret" not in done.stderr.decode()


def test_a_setting_that_does_not_fit_is_named(environment: Environment) -> None:
    done = run({**environment, "GCC_FLUSH_ROWS": "many"}, "run")
    assert done.returncode == 1
    assert "GCC_FLUSH_ROWS" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_taken_http_port_is_named_with_the_variable_that_changes_it(environment: Environment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run({**environment, "GCC_HTTP_PORT": str(port)}, "run")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr.decode()
    assert "GCC_HTTP_PORT" in done.stderr.decode()


def test_simulate_keeps_its_rate_and_confirms_what_it_sends(environment: Environment, tmp_path: Path) -> None:
    done = run(environment, "simulate", "--rate", "200", "--seconds", "3", "--seed", "1")
    assert done.returncode == 0, done.stderr.decode()
    confirmed = int(done.stdout.split()[0])
    assert 400 <= confirmed <= 620
    with service(environment, tmp_path) as running:
        running.wait_ready()
        tables = [Table(environment, each.table) for each in EVENT_TYPES.values()]
        eventually(lambda: sum(table.count() for table in tables) == confirmed)
