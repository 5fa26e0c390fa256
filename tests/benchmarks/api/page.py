"""docs/api.md: each view with its grain, columns, indexes and queries from the manifests, and the queries' times.

The times are those of docs/benchmarks.md, which `make bench ARGS=api` writes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gcc_platform.resources.dbt_project import manifest
from gcc_platform.sync.marts import Mart, marts_of
from tests.benchmarks import report
from tests.benchmarks.api.item import TITLE
from tests.benchmarks.api.queries import queries_of

DOCS = Path(__file__).parents[3] / "docs"
_GENERATED = re.compile(r"(?<=<!-- make api-docs -->\n).*(?=<!-- end -->)", re.DOTALL)

Node = Mapping[str, Any]


def written(page: str, benchmarks: str) -> str:
    """The page with its generated part as the manifests and the benchmarks have it."""
    text = generated(manifest("serving"), marts_of(manifest("warehouse")), times(benchmarks))
    return _GENERATED.sub(lambda _: text, page)


def times(benchmarks: str) -> Mapping[str, str]:
    """Milliseconds of one client, by the names of the queries, from the table of docs/benchmarks.md."""
    section = report.sections(benchmarks).get(TITLE, "")
    rows = (line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| "))
    return {row[0]: row[2] for row in rows if len(row) > 2}


def generated(serving: Node, marts: Sequence[Mart], milliseconds: Mapping[str, str]) -> str:
    """One section for each view, by name."""
    models = [node for node in serving["nodes"].values() if node["resource_type"] == "model"]
    by_name = {mart.name: mart for mart in marts}
    sections = [
        "\n".join(_section(view, serving, by_name, milliseconds))
        for view in sorted(models, key=lambda model: str(model["name"]))
    ]
    return "\n" + "\n".join(sections)


def _section(view: Node, serving: Node, marts: Mapping[str, Mart], milliseconds: Mapping[str, str]) -> Iterator[str]:
    # Sorted: dbt lists them in another order from one parse to the next.
    names = sorted(serving["sources"][source]["name"] for source in view["depends_on"]["nodes"])
    reads = [marts[name] for name in names if name in marts]
    yield f"### api.{view['name']}\n"
    yield f"{' '.join(view['description'].split())}\n"
    yield f"- Grain: {_code(view['config']['meta']['grain'])}"
    if reads:
        yield f"- Reads: {_code(mart.name for mart in reads)}"
        yield from _indexes(reads)
    yield ""
    for query in queries_of(serving):
        if query.view == view["name"]:
            taken = milliseconds.get(query.name)
            yield f"{query.name[0].upper()}{query.name[1:]}{f', {taken} ms' if taken else ''}:\n"
            yield f"```sql\n{query.sql}\n```\n"
    rows = [
        (f"`{name}`", column["data_type"], _cell(column["description"])) for name, column in view["columns"].items()
    ]
    yield _table(rows) + "\n"


def _indexes(marts: Sequence[Mart]) -> Iterator[str]:
    for mart in marts:
        yield f"- Indexes of `{mart.name}`:"
        yield f"    - {_code(mart.grain)}: the primary key"
        for index in mart.indexes:
            method = "" if index.method == "btree" else f"{index.method} of "
            condition = f", where PostgreSQL has {index.extension}" if index.extension else ""
            yield f"    - {method}{_code(key.text for key in index.keys)}: {index.serves}{condition}"


def _code(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(description: str) -> str:
    return " ".join(description.split()).replace("|", "\\|")


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [("column", "type", ""), ("---", "---", "---"), *rows])


@click.command()
def write() -> None:
    """Write the generated part of docs/api.md again."""
    page = DOCS / "api.md"
    page.write_text(written(page.read_text(), (DOCS / "benchmarks.md").read_text()))


if __name__ == "__main__":
    write()
