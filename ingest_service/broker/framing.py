"""Constants of AMQP 0-9-1 frames: their types, and the methods that are recognised by their bytes."""

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
END = 0xCE
DELIVER = b"\x00\x3c\x00\x3c"
OPENED_OR_CLOSED = (b"\x00\x14\x00\x0b", b"\x00\x14\x00\x28", b"\x00\x14\x00\x29")  # channel.open-ok, close, close-ok


class FrameError(Exception):
    """The stream is not a valid sequence of frames: the connection can no longer be used."""
