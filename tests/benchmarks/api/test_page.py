"""docs/api.md is what the manifests and docs/benchmarks.md give."""

from gcc_platform.resources.dbt_project import manifest
from tests.benchmarks.api.page import DOCS, times, written
from tests.benchmarks.api.queries import queries_of


def test_the_page_is_as_make_api_docs_writes_it() -> None:
    page = (DOCS / "api.md").read_text()
    assert page == written(page, (DOCS / "benchmarks.md").read_text()), "run make api-docs"


def test_every_query_of_the_page_was_measured() -> None:
    measured = times((DOCS / "benchmarks.md").read_text())
    assert [query.name for query in queries_of(manifest("serving")) if query.name not in measured] == []
