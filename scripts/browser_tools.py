"""Install what the browser tests need, and print where it is: Chromium and axe-core.

    python scripts/browser_tools.py

Chromium is taken from the system, or installed with apt-get where that is there and may be used.
axe-core, which checks accessibility, goes into the cache beside labelmill's environments, under its
version, and is left alone when it is there; it needs npm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "labelmill"
AXE = "axe-core@4.14.1"
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def browser() -> Path | None:
    """Return the browser; None where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return None if found is None else Path(found)


def axe_script() -> Path:
    """Return where the script of axe-core is once it is installed."""
    return CACHE / "browser" / AXE / "node_modules" / "axe-core" / "axe.min.js"


def install_browser() -> None:
    """Install Debian's or Ubuntu's Chromium, unless a browser is there."""
    if browser() is not None:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit(f"none of {', '.join(BROWSERS)} is installed; the browser tests need one")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium"]
    for command in (["apt-get", "update", "--quiet"], install):
        subprocess.run(command, check=True, env=environment, stdout=sys.stderr)


def install_axe() -> None:
    """Install axe-core, unless it is there.

    Raises:
        subprocess.CalledProcessError: It cannot be fetched.
    """
    if axe_script().exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is not installed; the browser tests fetch axe-core with it")
    final = CACHE / "browser" / AXE
    unfinished = final.with_name(f"{final.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        command = [npm, "install", "--silent", "--prefix", ".", AXE]
        subprocess.run(command, check=True, cwd=unfinished, stdout=sys.stderr)
        shutil.rmtree(final, ignore_errors=True)
        unfinished.rename(final)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


if __name__ == "__main__":
    install_browser()
    install_axe()
    print(browser())
    print(axe_script())
