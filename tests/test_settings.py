import re
from pathlib import Path

from gcc_platform.settings import Settings as PlatformSettings
from ingest_service.publisher import dispatcher
from ingest_service.settings import Settings as IngestSettings

EXAMPLE = Path(__file__).parents[1] / ".env.example"


def test_every_setting_is_listed_in_the_example_and_nothing_else() -> None:
    listed = set(re.findall(r"^#([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE))
    fields = {**PlatformSettings.model_fields, **IngestSettings.model_fields}
    # Crawlers do not load our settings classes.
    assert listed == {field.alias for field in fields.values()} | {dispatcher.URL_VARIABLE, dispatcher.SPOOL_VARIABLE}


def test_no_url_shows_in_the_settings_text() -> None:
    settings = IngestSettings(AMQP_URL="amqp://u:s3cret@host/", CLICKHOUSE_URL="http://u:s3cret@host")
    assert "s3cret" not in f"{settings!r} {settings}"
