"""The publisher SDK for crawlers: publish events without blocking the crawl and without losing them."""

from ingest_service.publisher.counters import Counters
from ingest_service.publisher.dispatcher import make_scrape_log_event
from ingest_service.publisher.event_publisher import EventPublisher
from ingest_service.publisher.spool import SpoolInUse, SpoolUnusable

__all__ = ["Counters", "EventPublisher", "SpoolInUse", "SpoolUnusable", "make_scrape_log_event"]
