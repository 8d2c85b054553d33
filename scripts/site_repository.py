"""A hook of MkDocs: pages for files outside docs/ that pages link to, so that every link works.

Pages of docs/ link to files of the repository by relative paths, as an editor and a forge show
them. The site has a page for each file or folder that is linked so, under `repository/`, with the
file's text; links are turned to these pages. A link that leads nowhere is left as it is, and MkDocs
refuses it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
DOCS = "docs/"
PAGES = "repository/"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s#]+)(?=[)#])")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sh": "sh", ".json": "json",
             ".tf": "hcl", ".xml": "xml"}  # fmt: skip


def on_files(files: Files, config: Any) -> Files:
    """Add a page for every file of the repository that a page links to."""
    _tree.cache_clear()
    tree = _tree()
    pending = [DOCS + file.src_uri for file in files.documentation_pages()]
    seen = set(pending)
    while pending:
        name = pending.pop()
        text = _content(name, tree)
        for target in _targets(name, text, tree):
            if target not in seen and not target.startswith(DOCS):
                seen.add(target)
                pending.append(target)
        if not name.startswith(DOCS):
            files.append(File.generated(config, _page(name), content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to files of the repository to their pages."""
    tree = _tree()
    here = page.file.src_uri
    name = DOCS + here
    if page.file.generated_by is not None:
        (name,) = (one for one in tree if not one.startswith(DOCS) and _page(one) == here)

    def turned(found: re.Match[str]) -> str:
        target = _target(name, found[0], tree)
        if target is None:
            return found[0]
        to = target.removeprefix(DOCS) if target.startswith(DOCS) else _page(target)
        return relpath(to, str(PurePosixPath(here).parent))

    return LINK.sub(turned, markdown)


@cache
def _tree() -> dict[str, list[str]]:
    """Return the files of the repository, each with no entries, and the folders with theirs."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    tree: dict[str, list[str]] = {}
    for file in sorted(filter(None, listed)):
        tree[file] = []
        for parent in PurePosixPath(file).parents[:-1]:
            entry = PurePosixPath(file).relative_to(parent).parts[0]
            entries = tree.setdefault(str(parent), [])
            if entry not in entries:
                entries.append(entry)
    return tree


def _target(name: str, link: str, tree: dict[str, list[str]]) -> str | None:
    """Return the file or folder that a link of a file leads to; a folder's README stands for it."""
    base = PurePosixPath(name) if tree.get(name) else PurePosixPath(name).parent
    target = normpath(base / link)
    readme = f"{target}/README.md"
    target = readme if readme in tree else target
    return target if target in tree else None


def _targets(name: str, text: str, tree: dict[str, list[str]]) -> Iterator[str]:
    for link in LINK.findall(text):
        target = _target(name, link, tree)
        if target is not None:
            yield target


def _page(name: str) -> str:
    if name.endswith(".md"):
        return PAGES + name
    return f"{PAGES}{name}.md"


def _content(name: str, tree: dict[str, list[str]]) -> str:
    """Return the page of a file or folder, with links as they are in the repository."""
    if tree[name]:
        lines = "\n".join(f"- [{entry}]({entry})" for entry in tree[name])
        return f"---\nsearch: {{exclude: true}}\n---\n# {name}/\n\n{lines}\n"
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".md"):
        return text
    language = LANGUAGES.get(PurePosixPath(name).suffix, "text")
    return (
        f"---\nsearch: {{exclude: true}}\n---\n# {name}\n\n````{language}\n{text.rstrip()}\n````\n"
    )
