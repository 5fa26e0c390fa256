import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gcc_platform.local_stack.settings import AlertSettings, LocalStackSettings
from gcc_platform.migration.settings import MigrationSettings
from gcc_platform.retention.settings import RetentionSettings
from gcc_platform.settings import Settings as PlatformSettings
from gcc_platform.watch.settings import WatchSettings
from ingest_service.commands import unknown_settings
from ingest_service.publisher import dispatcher, legacy_writes
from ingest_service.settings import Settings as IngestSettings

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / ".env.example"
SETTINGS = (
    PlatformSettings,
    LocalStackSettings,
    AlertSettings,
    WatchSettings,
    RetentionSettings,
    MigrationSettings,
    IngestSettings,
)


def test_every_setting_is_listed_in_the_example_and_nothing_else() -> None:
    listed = set(re.findall(r"^#([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE))
    fields = [field for settings in SETTINGS for field in settings.model_fields.values()]
    # Crawlers do not load our settings classes.
    crawlers = {dispatcher.URL_VARIABLE, dispatcher.SPOOL_VARIABLE, legacy_writes.VARIABLE, legacy_writes.ZONE_VARIABLE}
    assert listed == {field.alias for field in fields} | crawlers


def test_every_name_that_is_documented_or_a_setting_is_known_and_not_taken_for_a_misspelling() -> None:
    listed = set(re.findall(r"^#([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE))
    fields = {field.alias for settings in SETTINGS for field in settings.model_fields.values()}
    files = [path for name in ("ingest_service", "gcc_platform", "tests") for path in (ROOT / name).rglob("*.py")]
    names = r"\bGCC_(?:CHAOS|FUZZ|LOCAL|OUTAGE|PROJECT|READER|SPOOL)_[A-Z_]+\b"
    used = {name for path in files if path != Path(__file__) for name in re.findall(names, path.read_text())}
    assert listed | fields | used <= unknown_settings.KNOWN


@pytest.mark.parametrize("program", ["gcc-ingest", "gcc-platform"])
def test_a_misspelt_setting_is_said_once_with_the_nearest_name_and_never_its_value(
    tmp_path: Path, program: str
) -> None:
    (tmp_path / ".env").write_text("GCC_PREFECH=s3cret\n# GCC_COMMENT=1\nGCC_HTTP_PORT=8081\n")
    wrong = {"GCC_FLUSH_ROW": "s3cret", "AMPQ_URL": "amqp://s3cret", "GCC_ZZZZZZZZZ": "s3cret", "gcc_http_prot": "1"}
    right = {
        "GCC_COLORS": "x",
        "GCC_EMPTY": "",
        "GCC_INGEST_SERVICE_HOST": "10.0.0.1",
        "GCC_INGEST_PORT": "tcp://10.0.0.1:8081",
        "POSTGRESQL_URI": "x",
        "POSTGRES_URL": "postgresql://u:s3cret@h/d",
        "gcc_flush_rows": "7",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GCC_")} | right
    command = [Path(sys.executable).with_name(program), "stack" if program == "gcc-platform" else "publish", "--help"]
    said = {
        name: subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=True).stderr
        for name, environment, cwd in (("wrong", clean | wrong, tmp_path), ("right", clean, tmp_path.parent))
    }
    assert said["right"] == ""
    assert said["wrong"] == (
        "warning: unknown setting AMPQ_URL (did you mean AMQP_URL?); "
        "unknown setting GCC_FLUSH_ROW (did you mean GCC_FLUSH_ROWS?); "
        "unknown setting GCC_HTTP_PROT (did you mean GCC_HTTP_PORT?); "
        "unknown setting GCC_PREFECH (did you mean GCC_PREFETCH?); "
        "unknown setting GCC_ZZZZZZZZZ. .env.example lists them all\n"
    )


def test_no_url_shows_in_the_settings_text() -> None:
    settings = IngestSettings(AMQP_URL="amqp://u:s3cret@host/", CLICKHOUSE_URL="http://u:s3cret@host")
    assert "s3cret" not in f"{settings!r} {settings}"
