"""Write docs/reference/ from code and schema; --check fails when a page is out of date."""

from __future__ import annotations

import sys
from pathlib import Path

import reference_commands
import reference_job
import reference_manifest
import reference_python

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGES = {
    "command-line.md": reference_commands.page,
    "job-file.md": reference_job.page,
    "labelmodel.md": reference_python.labelmodel_page,
    "manifest.md": reference_manifest.page,
    "python.md": reference_python.labelmill_page,
}


def main() -> None:
    texts = {FOLDER / name: page() for name, page in PAGES.items()}
    if "--check" not in sys.argv:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        return
    old = [
        path.name
        for path, text in texts.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if old:
        sys.exit(f"docs/reference: {', '.join(old)} out of date: run make docs")


main()
