"""The company's models of its log tables, with the mixin by which what they commit is published."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from ingest_service.publisher.dual_write import Published


class _Base(DeclarativeBase):
    pass


class _Snapshot:
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    platform: Mapped[str] = mapped_column(String)
    profile_id: Mapped[str] = mapped_column(String)
    metrics: Mapped[Any] = mapped_column(JSONB)
    dimensions: Mapped[Any] = mapped_column(JSONB)
    source: Mapped[str] = mapped_column(String)
    timestamp: Mapped[datetime] = mapped_column(DateTime)


class ProfileLog(_Snapshot, _Base, Published):
    """A snapshot of a profile."""

    __tablename__ = "profile_log"
    EVENT_TYPE: ClassVar[str] = "profile_log"


class PostLog(_Snapshot, _Base, Published):
    """A snapshot of a post."""

    __tablename__ = "post_log"
    EVENT_TYPE: ClassVar[str] = "post_log"
    platform_post_id: Mapped[str] = mapped_column(String)
