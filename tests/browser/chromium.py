"""Chromium without a screen, as the tests use it, and a server that notes who asks it."""

from __future__ import annotations

import html
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.browser_tools import axe_script, browser

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--virtual-time-budget=20000",
]
DARK = ("--blink-settings=preferredColorScheme=0", "--force-dark-mode")
LIGHT = ("--blink-settings=preferredColorScheme=1",)

PHONE = 390
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_TOLD = re.compile(r'<pre id="told">(.*?)</pre>', re.DOTALL)


def needed(path: Path | None, what: str) -> Path:
    """Return the path of a tool; skips the test without it, or fails it in CI."""
    if path is not None and path.exists():
        return path
    missing = f"{what} is not installed; run scripts/browser_tools.py"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def run(page: Path, *flags: str) -> str:
    """Open a page, and return what Chromium prints."""
    program = needed(browser(), "Chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [str(program), *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()],
            check=True, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
    return done.stdout


def dom(page: Path, *flags: str) -> str:
    """Return the HTML of a page after its scripts ran."""
    return run(page, "--dump-dom", *flags)


def ask(page: Path, question: str, *flags: str, scripts: Sequence[Path] = ()) -> str:
    """Return what a script of ours tells of a page, in a copy without the page's policy.

    Args:
        page: The page.
        question: Body of an async function that returns text.
        flags: Flags of Chromium.
        scripts: Scripts that run before it.
    """
    before = "".join(f'<script src="{path.as_uri()}"></script>' for path in scripts)
    script = (
        f"<pre id=told></pre>{before}<script>addEventListener('load', async () => "
        "{ document.getElementById('told').textContent = await (async () => {"
        f"{question}}})(); }});</script>"
    )
    text, changed = _POLICY.subn("", page.read_text(encoding="utf-8"))
    assert changed == 1
    copy = page.with_name(f"asked-{page.name}")
    copy.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    found = _TOLD.search(dom(copy, *flags))
    assert found, "the page lost the script's answer"
    return html.unescape(found[1])


def ask_on_phone(page: Path, question: str) -> str:
    """Return what a script of ours tells of a page that is as wide as a phone."""
    text = _POLICY.sub("", page.read_text(encoding="utf-8"))
    script = f"addEventListener('load', () => parent.postMessage((() => {{{question}}})(), '*'));"
    inner = page.with_name(f"inner-{page.name}")
    inner.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    outer = page.with_name(f"phone-{page.name}")
    outer.write_text(
        "<pre id=told></pre><script>addEventListener('message', (e) => "
        "{ document.getElementById('told').textContent = e.data; });</script>"
        f'<iframe src="{inner.name}" width="{PHONE}" height="800" frameborder="0"></iframe>'
    )
    found = _TOLD.search(dom(outer, "--window-size=800,900"))
    assert found, "the page lost the script's answer"
    return html.unescape(found[1])


def axe() -> Path:
    """Return the script that checks accessibility."""
    return needed(axe_script(), "axe-core")


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """Serve a free port until the end of the block; yields its address and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
