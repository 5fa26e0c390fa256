"""Where rows wait on their way from ClickHouse to PostgreSQL, if GCC_SYNC_STAGE is set: a bucket or a folder."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ingest_service.urls import BadUrl

SETTING = "GCC_SYNC_STAGE"
COLLECTION = "gcc_sync_stage"
"""ClickHouse's named collection with the bucket's URL and keys, so that no query has them."""

_FORMS = f"{SETTING} is not a folder or of the form s3://bucket/prefix or https://key:secret@host:port/bucket/prefix"


@dataclass(frozen=True)
class Folder:
    """A folder that ClickHouse and this process see under the same path."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Bucket:
    """A part of a bucket. Without an endpoint it is AWS'; without a key, credentials are found as AWS' tools do."""

    bucket: str
    prefix: str
    endpoint: str | None = None
    key: str | None = None
    secret: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.endpoint or 's3:/'}/{self.bucket}/{self.prefix}".rstrip("/")


StageLocation = Folder | Bucket


def parse(value: str) -> StageLocation:
    """Parse the setting. Raises BadUrl, whose message has no secret."""
    if "://" not in value:
        folder = Path(value)
        if not folder.is_absolute():  # ClickHouse, which writes there, has another working directory
            raise BadUrl(f"{_FORMS}; the path of a folder begins with /")
        return Folder(folder)
    try:
        parts = urlsplit(value)
        path = unquote(parts.path).strip("/")
        host = parts.netloc.rpartition("@")[2]
        usable = parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise BadUrl(_FORMS)
    if parts.scheme == "s3":
        if parts.username or parts.port:
            raise BadUrl(f"{_FORMS}; keys of s3:// are read from AWS_ACCESS_KEY_ID, a profile or a role")
        return Bucket(host, path)
    bucket, _, prefix = path.partition("/")
    if parts.scheme not in {"http", "https"} or not bucket or bool(parts.username) != bool(parts.password):
        raise BadUrl(_FORMS)
    return Bucket(
        bucket,
        prefix,
        f"{parts.scheme}://{host}",
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )
