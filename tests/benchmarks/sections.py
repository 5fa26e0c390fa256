"""Sections of a page of docs that one command owns, between `<!-- command -->` and `<!-- end -->`."""

import re
from pathlib import Path


def of(page: Path, command: str) -> str:
    """The section of a command, with its markers; empty if the page has none."""
    found = _pattern(command).search(page.read_text()) if page.exists() else None
    return f"\n{found[0]}" if found else ""


def write(page: Path, command: str, text: str) -> None:
    """Replace the section where it stands, or append it."""
    section = f"<!-- {command} -->\n{text}<!-- end -->\n"
    before = page.read_text() if page.exists() else "# Benchmarks\n"
    if _pattern(command).search(before):
        page.write_text(_pattern(command).sub(lambda _: section, before))
    else:
        page.write_text(before.rstrip("\n") + f"\n\n{section}")


def _pattern(command: str) -> re.Pattern[str]:
    return re.compile(rf"<!-- {re.escape(command)} -->\n.*?<!-- end -->\n", re.DOTALL)
