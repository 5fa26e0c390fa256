"""What the service's user is told by ClickHouse's configuration: rights, limits, and settings that concern inserts."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.chaos.faults.clickhouse import clickhouse_with
from tests.chaos.faults.fault import Fault
from tests.chaos.field import Field

_TARGET = "ClickHouse"


def _profile(**settings: str | int | float) -> Callable[[str], str]:
    """For the service's user alone: who looks on must see."""
    text_of_settings = "".join(f"<{name}>{value}</{name}>" for name, value in settings.items())

    def change(text: str) -> str:
        own = _own_profile(text)
        profile = f"<profiles><stricken><profile>default</profile>{text_of_settings}</stricken>"
        return text.replace(own, own.replace("<profile>default", "<profile>stricken")).replace("<profiles>", profile)

    return change


def _own_profile(text: str) -> str:
    """The service's user's part of users.xml, up to its profile."""
    found = re.search(r"<ingest>.*?</profile>", text, re.DOTALL)
    assert found is not None
    return found[0]


def _quota(text: str) -> str:
    interval = "<interval><duration>3600</duration><written_bytes>1</written_bytes></interval>"
    quotas = f"<quotas><stricken>{interval}</stricken></quotas>"
    own = _own_profile(text)
    return text.replace(own, f"{own}<quota>stricken</quota>").replace("</clickhouse>", f"{quotas}</clickhouse>")


def _revoked(text: str) -> str:
    revoked, count = re.subn(r"(<query>GRANT [^<]*)\bINSERT, ([^<]* ON _e\.\*</query>)", r"\1\2", text)
    assert count == 1, "one user may insert into the raw tables"
    return revoked


def _another_password(text: str) -> str:
    own = _own_profile(text)
    return text.replace(own, re.sub(r"(<password_sha256_hex>).*?<", rf"\g<1>{'0' * 64}<", own))


def _unknown(field: Field, setting: str) -> str:
    known = int(field.sql(f"SELECT count() FROM system.settings WHERE name = '{setting}'"))
    return "" if known else f"this ClickHouse has no setting {setting}"


def _told(name: str, change: Callable[[str], str], noticed_as: str | None = None) -> Fault:
    return Fault(name, _TARGET, clickhouse_with(change), clickhouse_with(None), noticed_as=noticed_as)


FAULTS: Sequence[Fault] = (
    _told("quota used up", _quota, "pressure/quota_exceeded"),
    _told("memory limit", _profile(max_memory_usage=100_000), "pressure/memory_limit_exceeded"),
    _told("user read-only", _profile(readonly=2), "config_fault/readonly"),
    _told("INSERT revoked", _revoked, "config_fault/access_denied"),
    _told("ClickHouse's password changed", _another_password, "config_fault/authentication_failed"),
    # What the service's own inserts override, so nobody notices anything.
    _told("profile skips rows", _profile(input_format_allow_errors_num=10, input_format_allow_errors_ratio=0.5)),
    _told(
        "profile cuts inserts short",
        _profile(max_execution_time=0.001, timeout_overflow_mode="break", max_insert_block_size=1),
    ),
    # Killed half-way, such an insert has some of its blocks in the table; as one block, its token is known then.
    _told(
        "profile cuts inserts into blocks",
        _profile(max_insert_block_size=5, min_insert_block_size_rows=1, min_insert_block_size_bytes=1),
    ),
    _told("profile delays inserts", _profile(async_insert=1, wait_for_async_insert=0)),
    replace(
        _told("profile answers before it inserts", _profile(run_query_in_background=1)),
        unless=lambda field: _unknown(field, "run_query_in_background"),
    ),
    _told(
        "profile changes how rows are read",
        _profile(
            input_format_skip_unknown_fields=1,
            input_format_null_as_default=0,
            input_format_defaults_for_omitted_fields=0,
            input_format_json_read_objects_as_strings=0,
            date_time_input_format="basic",
            insert_deduplicate=0,
        ),
    ),
)
