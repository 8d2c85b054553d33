"""The documentation as a site: it needs nothing from elsewhere, and refuses broken links."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(https?:)?//")


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_site_loads_nothing_from_elsewhere(tmp_path):
    made = build(ROOT, tmp_path / "site")
    assert made.returncode == 0, made.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").rglob("*.md")))  # files of the repository too
    assert [page.name for page in pages if LOADED.search(page.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "text", "said"),
    [
        ("capacity.md", "[x](nowhere.md)", "nowhere.md"),
        ("capacity.md", "[x](concepts.md#nothing)", "#nothing"),
        ("capacity.md", "[x](../deploy/nowhere.sh)", "nowhere.sh"),
        ("orphan.md", "# A page without a place", "orphan.md"),
    ],
)
def test_broken_site_is_refused(tmp_path, page, text, said):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("docs", "scripts", "deploy", "examples", "labelmill", "labelmodel", "transforms"):
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "data", "out")
        )
    for name in ("mkdocs.yml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    with (copy / "docs" / page).open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")
    made = build(copy, tmp_path / "site")
    assert made.returncode == 1
    warnings = [line for line in made.stderr.splitlines() if line.startswith(("WARNING", "  - "))]
    assert warnings
    assert all(said in line for line in warnings if not line.endswith("configuration:"))
