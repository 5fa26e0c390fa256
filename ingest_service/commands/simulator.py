"""Realistic crawl traffic of every event type for demos and load tests; seeded, so runs are reproducible."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

Body = tuple[str, bytes]
"""An event type's name and an encoded event of that type."""

_WEIGHTS = {
    "post_log": 60,
    "profile_log": 12,
    "asset_log": 8,
    "scrape_request_log": 5,
    "trace_log": 4,
    "sentiment_log": 3,
    "post_activity_log": 2,
    "profile_relationship_log": 2,
    "yt_activity_log": 1,
    "yt_profile_relationship_log": 1,
    "order_log": 1,
    "affiliate_order": 1,
}
_PROFILES = 500
_POSTS_EACH = 20
_CATEGORIES = ("Beauty", "Comedy", "Education", "Fitness", "Food", "Gaming", "Music", "Travel")
_COUNTRIES = ("IN", "US", "BR", "ID", "GB")
_FLOWS = (
    "refresh_profile_by_handle",
    "refresh_profile_by_profile_id",
    "refresh_post_by_shortcode",
    "refresh_orders",
)
_Fields = dict[str, Any]


class Simulator:
    """Generates events of fictitious profiles whose followers and views grow with every visit."""

    def __init__(self, seed: int | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._random = random.Random(seed)
        self._now = now
        self._visits: dict[str, int] = {}
        self._builders: dict[str, Callable[[], _Fields]] = {name: getattr(self, f"_{name}") for name in _WEIGHTS}

    def events(self) -> Iterator[Body]:
        """Generate events without end, with the types as frequent as in production."""
        names, weights = list(_WEIGHTS), list(_WEIGHTS.values())
        while True:
            name = self._random.choices(names, weights)[0]
            yield name, self.event(name)

    def event(self, name: str) -> bytes:
        """Generate one event of a type."""
        return msgspec.json.encode({**self._common(), **self._builders[name]()})

    def _common(self) -> _Fields:
        return {
            "event_id": str(UUID(int=self._random.getrandbits(128), version=4)),
            "event_timestamp": self._now().strftime("%Y-%m-%d %H:%M:%S"),
        }

    def _profile(self) -> _Fields:
        """Pick a profile; low numbers are visited more often."""
        number = min(int(self._random.expovariate(1 / (_PROFILES / 5))), _PROFILES - 1)
        youtube = number % 3 == 0
        profile_id = f"UC{number:010d}" if youtube else f"{17_841_400_000 + number}"
        return {
            "source": "youtube_api" if youtube else self._random.choice(("graphapi", "rapidapi")),
            "platform": "YOUTUBE" if youtube else "INSTAGRAM",
            "profile_id": profile_id,
            "handle": profile_id if youtube else f"creator_{number}",
        }

    def _grown(self, key: str, largest: int) -> int:
        """A number per key that grows with each visit."""
        self._visits[key] = self._visits.get(key, 0) + 1
        start = random.Random(key).randrange(100, largest)
        return start + self._visits[key] * max(1, start // 1_000)

    def _dimensions(self, profile: _Fields, **own: object) -> _Fields:
        number = sum(profile["profile_id"].encode())
        return {
            "category": _CATEGORIES[number % len(_CATEGORIES)],
            "country": _COUNTRIES[number % len(_COUNTRIES)],
            "handle": profile["handle"],
            **own,
        }

    def _shortcode(self, profile: _Fields) -> str:
        return f"{profile['profile_id'][-5:]}_{self._random.randrange(_POSTS_EACH):03d}"

    def _profile_log(self) -> _Fields:
        profile = self._profile()
        audience = self._grown(profile["profile_id"], 2_000_000)
        youtube = {"subscribers": audience, "views": audience * 40, "videos": 120, "avg_views": audience / 20}
        instagram = {
            "followers": audience,
            "following": 310,
            "posts": 420,
            "avg_likes": audience / 50,
            "avg_comments": audience / 900,
            "reach": audience // 3,
        }
        return {
            **profile,
            "metrics": youtube if profile["platform"] == "YOUTUBE" else instagram,
            "dimensions": self._dimensions(profile, is_verified=audience > 1_000_000, bio="daily stories ✨"),
        }

    def _post_log(self) -> _Fields:
        profile = self._profile()
        shortcode = self._shortcode(profile)
        views = self._grown(shortcode, 300_000)
        return {
            **profile,
            "shortcode": shortcode,
            "publish_time": "2026-01-15 09:30:00",
            "metrics": {"views": views, "likes": views // 12, "comments": views // 300, "reach": views // 2},
            "dimensions": self._dimensions(profile, post_type="reel", caption="new one is out #today"),
        }

    def _post_activity_log(self) -> _Fields:
        profile, actor = self._profile(), self._profile()
        return {
            **_source_fields(profile),
            "profile_id": profile["profile_id"],
            "shortcode": self._shortcode(profile),
            "actor_profile_id": actor["profile_id"],
            "activity_type": self._random.choice(("like", "comment", "share")),
            "metrics": {},
            "dimensions": {},
        }

    def _sentiment_log(self) -> _Fields:
        profile = self._profile()
        score = round(self._random.uniform(-1, 1), 3)
        sentiment = "positive" if score > 0.2 else "negative" if score < -0.2 else "neutral"
        return {
            **_source_fields(profile),
            "shortcode": self._shortcode(profile),
            "comment_id": str(self._random.getrandbits(48)),
            "comment": "love this!",
            "sentiment": sentiment,
            "score": score,
            "metrics": {},
            "dimensions": {"language": "en"},
        }

    def _relationship(self, relationship_type: str) -> _Fields:
        source, target = self._profile(), self._profile()
        return {
            **_source_fields(source),
            "source_profile_id": source["profile_id"],
            "target_profile_id": target["profile_id"],
            "relationship_type": relationship_type,
            "metrics": {},
            "dimensions": {},
        }

    def _profile_relationship_log(self) -> _Fields:
        return self._relationship(self._random.choice(("follower", "following")))

    def _yt_profile_relationship_log(self) -> _Fields:
        return {**self._relationship("subscription"), "platform": "YOUTUBE", "source": "youtube_api"}

    def _yt_activity_log(self) -> _Fields:
        return {
            "source": "youtube_api",
            "platform": "YOUTUBE",
            "activity_id": str(self._random.getrandbits(48)),
            "activity_type": self._random.choice(("upload", "like", "playlistItem")),
            "actor_channel_id": f"UC{self._random.randrange(0, _PROFILES, 3):010d}",
            "shortcode": None,
            "metrics": {},
            "dimensions": {},
        }

    def _scrape_request_log(self) -> _Fields:
        status = self._random.choices(("PENDING", "PROCESSING", "COMPLETE", "FAILED"), (10, 15, 65, 10))[0]
        profile = self._profile()
        return {
            "platform": profile["platform"],
            "scl_id": self._random.getrandbits(40),
            "flow": self._random.choice(_FLOWS),
            "params": {"profile_id": profile["profile_id"]},
            "status": status,
            "priority": self._random.randrange(1, 4),
            "reason": "429 from source" if status == "FAILED" else None,
            "picked_at": None if status == "PENDING" else self._now().isoformat(timespec="milliseconds"),
            "expires_at": None,
        }

    def _order_log(self) -> _Fields:
        profile = self._profile()
        return {
            **_source_fields(profile),
            "platform_order_id": f"O{self._random.getrandbits(32)}",
            "store": self._random.choice(("shopify", "woocommerce")),
            "metrics": {"amount": round(self._random.uniform(5, 200), 2)},
            "dimensions": {"currency": "INR"},
        }

    def _affiliate_order(self) -> _Fields:
        return {
            **_source_fields(self._profile()),
            "order_id": f"A{self._random.randrange(5_000)}",  # few, so that orders are updated
            "store": self._random.choice(("ajio", "myntra", "nykaa")),
            "status": self._random.choice(("pending", "confirmed", "cancelled")),
            "amount": round(self._random.uniform(5, 500), 2),
            "currency": "INR",
            "updated_at": self._now().strftime("%Y-%m-%d %H:%M:%S"),
            "metrics": {},
            "dimensions": {},
        }

    def _trace_log(self) -> _Fields:
        return {
            "source": "beat",
            "platform": self._profile()["platform"],
            "trace_id": f"{self._random.getrandbits(128):032x}",
            "host_name": f"beat-{self._random.randrange(12)}",
            "service_name": "beat",
            "method": "GET",
            "uri": self._random.choice(("/v1/profile", "/v1/posts", "/v1/comments")),
            "status_code": self._random.choices((200, 404, 429, 500), (94, 2, 3, 1))[0],
            "duration_ms": round(self._random.expovariate(1 / 350), 2),
            "started_at": self._now().isoformat(timespec="milliseconds"),
        }

    def _asset_log(self) -> _Fields:
        profile = self._profile()
        asset = f"{self._random.getrandbits(64):016x}"
        return {
            **_source_fields(profile),
            "asset_id": asset,
            "asset_type": "image",
            "entity_type": "post",
            "entity_id": self._shortcode(profile),
            "url": f"https://cdn.example.com/{asset}.jpg",
            "status": "uploaded",
            "metrics": {},
            "dimensions": {},
        }


def _source_fields(profile: _Fields) -> _Fields:
    return {"source": profile["source"], "platform": profile["platform"]}
