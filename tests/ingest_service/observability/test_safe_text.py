import json

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from ingest_service.observability import logs, safe_text
from tests.harness.terminal import controls

ANYTHING = st.text(
    alphabet=st.characters(exclude_categories=[]) | st.sampled_from("\x1b\x9b\x07\r\n\u202e\u2066\ud800")
)


@given(payload=st.binary() | ANYTHING)
def test_no_control_character_but_a_line_end_is_shown_whatever_the_payload(payload: bytes | str) -> None:
    shown = safe_text.lines(payload)
    text = payload.decode(errors="backslashreplace") if isinstance(payload, bytes) else payload
    assert not {each for each in controls(shown) if ord(each) < 0xA0 or 0x2028 <= ord(each) <= 0x2069}
    assert shown.count("\n") == text.count("\n")
    assert "\n" not in safe_text.line(text)
    shown.encode()


@given(value=st.dictionaries(st.text(), st.text()))
def test_json_that_is_escaped_is_the_same_json(value: dict[str, str]) -> None:
    assert json.loads(safe_text.line(json.dumps(value, ensure_ascii=False))) == value


def test_text_without_control_characters_is_shown_as_it_is() -> None:
    text = "fünf 五 \u0645\u06cc\u200c\u062e \N{WOMAN}\u200d\N{PERSONAL COMPUTER} \\ ok"
    assert safe_text.line(text) == safe_text.lines(text) == safe_text.lines(text.encode()) == text


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_control_character_gets_into_the_log(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    logs.configure(log_format)
    evil = "\x1b]0;owned\x07\x9b2J\u202e"
    try:
        structlog.get_logger().error(f"what {evil}", why=evil, of=[evil], exc_info=ValueError(evil))
    finally:
        structlog.reset_defaults()
    said = capsys.readouterr().err
    assert "owned" in said
    assert not controls(said)
