"""A real browser, without a window: what a person sees of a page, once its scripts have run."""

import html
import re
import shutil
import subprocess
import tempfile

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str:
    """The browser of this machine; empty if it has none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), "")


def text(url: str, *, offline: bool = False, seconds: int = 8) -> str:
    """The text of a page. `offline`: no other address than the page's own can be reached."""
    markup = _dom(url, offline=offline, seconds=seconds)
    without_code = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", markup)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without_code)).split())


def _dom(url: str, *, offline: bool, seconds: int) -> str:
    """The document after so many seconds of the page's own time, which stands still while it waits for answers."""
    only_the_page = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"] if offline else []
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                *(executable(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"),
                *only_the_page,
                *(f"--virtual-time-budget={seconds * 1000}", "--dump-dom", url),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
