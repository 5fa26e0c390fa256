"""A URL as it may be shown, in a log or an error. On its own, so that crawlers need not import the settings for it."""

from urllib.parse import urlsplit


def without_password(url: str) -> str:
    """The URL as it may be shown: scheme, user, host and port."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{user}{parts.hostname}{port}"
