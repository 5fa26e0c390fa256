"""docs/contributing.md: its tree is the repository's, and the words that it lists are not used."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "contributing.md").read_text()
WRITTEN = ("ingest_service", "gcc_platform", "dbt_project", "deploy", "docs", "README.md", ".env.example", "Makefile")
SUFFIXES = {".py", ".sql", ".yml", ".md", ".sh", ".example", ""}


def tracked(*paths: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z", *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name]


def tree() -> Iterator[str]:
    """The paths in the tree of the document; folders end in a slash."""
    _, _, block = TEXT.partition("## Layout")
    above = ""
    for line in block.split("```")[1].splitlines():
        if found := re.match(r"( *)(\S+)", line):
            indent, name = found.groups()
            if not indent:
                above = name
            yield above + name if indent else name


def unused_words() -> list[str]:
    _, _, table = TEXT.partition("| not used | instead |")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    return [word.strip() for row in rows[1:] for word in row.split(",")]


@pytest.mark.parametrize("path", list(tree()))
def test_what_the_tree_names_exists_and_has_a_description(path: str) -> None:
    assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()
    assert re.search(rf"^ *{re.escape(Path(path).name)}/?  +\S", TEXT, re.MULTILINE)


@pytest.mark.parametrize("package", ["ingest_service/", "gcc_platform/"])
def test_everything_in_a_package_stands_in_the_tree(package: str) -> None:
    parts = {name.removeprefix(package).partition("/") for name in tracked(package)}
    there = {package + head + slash for head, slash, _ in parts} - {package + "__init__.py"}
    assert there == {path for path in tree() if path.startswith(package)} - {package}


def test_words_that_only_we_would_use_are_not_used() -> None:
    words = unused_words()
    assert len(words) > 15
    # "There is no queue" is plain English, and file.tell() is Python's.
    pattern = re.compile(rf"(?<!there )(?<!\.)\b({'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
    found = [
        f"{name}:{number}: {match[0]}"
        for name in tracked(*WRITTEN)
        if Path(name).suffix in SUFFIXES and name != "docs/contributing.md"
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        for match in pattern.finditer(line)
    ]
    assert not found, "docs/contributing.md says what to write instead"
