"""The queries that the serving views' yml files declare, with parameters of the made-up data that pgbench computes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.api.data import CATEGORIES, COUNTRIES, FIRST_ID, Scale

_PARAMETER = re.compile(r"%\((\w+)\)s")
_WITH_HISTORY = {"profile_daily", "post", "post_daily", "last_posts", "audience_overlap"}
_HANDLE = """(case
    when (:n)::int % 50 = 1 then 'सृजक_' || (:n)::int
    when (:n)::int % 50 = 2 then 'Автор.' || (:n)::int
    when (:n)::int % 10 = 3 then 'Studio.' || (:n)::int || '_Official'
    else 'creator_' || (:n)::int
end)"""
_PARAMETERS = {
    "platform": "case when (:n)::int % 3 = 0 then 'YOUTUBE' else 'INSTAGRAM' end",
    "profile_id": f"({FIRST_ID} + (:n)::int)::text",
    "handle": f"upper({_HANDLE})",
    "prefix": f"left({_HANDLE}, -2)",
    "leaderboard": "'profiles_by_' || (array['followers', 'growth', 'engagement'])[(:a)::int % 3 + 1]",
    "period": "(array['7d', '30d', 'all'])[(:b)::int % 3 + 1]",
    "after": "(:n)::int % 1000",
    "category": f"(array{list(CATEGORIES)})[(:a)::int % {len(CATEGORIES)} + 1]",
    "country": f"(array{list(COUNTRIES)})[(:b)::int % {len(COUNTRIES)} + 1]",
    "least": "1000",
    "most": "1000000",
    "rate": "0.02",
    "words": "'topic' || (:a)::int || ' topic' || (:b)::int || ' topic' || (:c)::int",
    "shortcode": "(:n)::int || '_' || (:a)::int % 12",
}
"""By name: the n-th profile, or one of 31 values. Data of text arrive as the API sends them, also in upper case."""


@dataclass(frozen=True)
class Query:
    """A query of a view."""

    view: str
    name: str
    sql: str

    def script(self, scale: Scale) -> str:
        """pgbench's script: one statement, whose parameters are random."""
        last = (scale.with_history if self.view in _WITH_HISTORY else scale.profiles) - 1
        sets = [f"\\set n random(0, {last})", *(f"\\set {name} random(0, 30)" for name in "abc")]
        return "\n".join([*sets, _PARAMETER.sub(lambda found: f"({_PARAMETERS[found[1]]})", self.sql) + ";"])


def queries_of(manifest: Mapping[str, Any]) -> Sequence[Query]:
    """Those of all views, in the order of the views' names."""
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    return [
        Query(model["name"], declared["name"], declared["sql"])
        for model in sorted(models, key=lambda model: str(model["name"]))
        for declared in model["config"]["meta"].get("queries", [])
    ]
