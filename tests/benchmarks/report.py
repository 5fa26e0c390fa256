"""docs/benchmarks.md and its chart: what was measured, and on what."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.results import Table

_WIDTH, _BAR, _LABELS = 860, 26, 330


def markdown(tables: Sequence[Table], command: str, before: str = "") -> str:
    """The report; what was not measured now or since is as in the report before, with its head."""
    kept = sections(before)
    measured = {table.title: _section(table) for table in tables}
    if kept.keys() - measured.keys():
        head, _, _ = before.partition("\n## ")
        return "\n\n".join([head.rstrip(), *(kept | measured).values()]) + "\n"
    parts = [
        "# Benchmarks",
        f"Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}; do not edit. Medians, with the least and the most in "
        "brackets; what is compared was measured in turns on the same events. Everything, the load and all servers "
        "included, shares one machine, so ratios say more than rates. All servers keep their production durability: "
        "fsync is on.",
        f"Machine: {machine()}.",
        "![Events a second until durable](benchmarks.svg)",
        *measured.values(),
    ]
    return "\n\n".join(parts) + "\n"


def sections(report: str) -> dict[str, str]:
    """The sections of a report by their titles."""
    found = re.split(r"(?m)^## ", report.partition("<!-- ")[0])[1:]
    return {each.partition("\n")[0]: f"## {each.strip()}" for each in found}


def chart(table: Table) -> str:
    """Its bars, as SVG that is readable on a light and on a dark page."""
    most = max((value for _, value in table.bars), default=1.0)
    height = _BAR * len(table.bars) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        "<style>text{fill:#57606a}rect{fill:#8c959f}.ours{fill:#0969da}"
        "@media(prefers-color-scheme:dark){text{fill:#9da7b3}rect{fill:#6e7681}.ours{fill:#4493f8}}</style>",
        f'<text x="0" y="16">{escape(table.title)}: events a second</text>',
    ]
    for number, (name, value) in enumerate(table.bars):
        y = 30 + number * _BAR
        width = max(1.0, value / most * (_WIDTH - _LABELS - 80))
        kind = ' class="ours"' if name == "this service" else ""
        lines += [
            f'<text x="{_LABELS - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LABELS}" y="{y}" width="{width:.0f}" height="{_BAR - 7}"{kind}/>',
            f'<text x="{_LABELS + width + 6:.0f}" y="{y + 14}">{value:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown; numbers to the right, but for the first column."""
    lines = [head, ["---" if n == 0 else "---:" for n in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """What it ran on."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.findall(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[0]) / 2**20
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("aio-pika", "clickhouse-connect", "chdb-core", "uvloop")
    )
    name = cpu[1] if cpu else platform.machine()
    return (
        f"{os.cpu_count()} cores ({name}), {memory:.0f} GB of memory, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def _section(table: Table) -> str:
    return f"## {table.title}\n\n{table.said}\n\n{grid(table.head, table.rows)}"
