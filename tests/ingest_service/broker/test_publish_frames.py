"""The frames of a message, read back by pamqp, the library that aiormq uses."""

from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from ingest_service.broker.publish_frames import publish_frames

NAMES = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=60)
HEADERS = st.dictionaries(NAMES, st.one_of(st.text(max_size=300), st.integers(-(2**63), 2**63 - 1)), max_size=12)


def frames(data: bytes) -> list[object]:
    """The decoded frames, each on the channel 7."""
    decoded = []
    while data:
        size, channel, part = frame.unmarshal(data)
        assert channel == 7
        decoded.append(part)
        data = data[size:]
    return decoded


@given(headers=HEADERS, body=st.binary(max_size=500), payload=st.integers(16, 600))
def test_a_message_is_read_by_the_library_as_it_was_meant(
    headers: dict[str, str | int], body: bytes, payload: int
) -> None:
    method, header, *bodies = frames(publish_frames(7, "beat.dx", "key", body, headers, payload + 8))
    assert isinstance(method, commands.Basic.Publish)
    assert (method.exchange, method.routing_key, method.mandatory) == ("beat.dx", "key", True)
    assert isinstance(header, ContentHeader)
    assert header.body_size == len(body)
    assert (header.properties.content_type, header.properties.delivery_mode) == ("application/json", 2)
    assert (header.properties.headers or {}) == headers
    parts = [part.value for part in bodies if isinstance(part, ContentBody)]
    assert b"".join(parts) == body
    assert all(0 < len(part) <= payload for part in parts)
