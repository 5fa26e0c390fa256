"""docs/operations.md as a page, so that the links of alerts lead somewhere offline."""

import re
from html import escape

from markdown_it import MarkdownIt

from gcc_platform import project

_HEADING = re.compile(r"<h([1-6])>(.*?)</h\1>")
_TAG = re.compile(r"<[^>]+>")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


def render() -> str:
    """The document as HTML. Raises NotAProject if it is not installed."""
    text = project.file("docs/operations.md").read_text()
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return _PAGE.format(body=_HEADING.sub(_with_anchor, body), title=escape("Operations"))


def _with_anchor(match: re.Match[str]) -> str:
    level, title = match.groups()
    return f'<h{level} id="{anchor(_TAG.sub("", title))}">{title}</h{level}>'


def anchor(heading: str) -> str:
    """The fragment of a heading, as GitHub makes it."""
    return _NOT_IN_ANCHORS.sub("", heading.lower()).replace(" ", "-")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} · gcc</title><link rel="icon" href="data:,"><style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.2rem; }}
:target {{ background: #ffd54f66; }}
table {{ border-collapse: collapse; }} th, td {{ border: 1px solid #8886; padding: .2rem .5rem; text-align: left; }}
pre {{ overflow-x: auto; background: #8881; padding: .6rem; }}
</style></head><body>
<p><a href="/">Status</a></p>
{body}</body></html>
"""
