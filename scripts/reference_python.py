"""The pages about Python's names: which there are; the site fills in signatures and docstrings."""

from __future__ import annotations

from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parent.parent
LABELMILL = """\
# Python

What `import labelmill` offers for writing functions and reading labels, helpers for their tests,
and the steps for [pipelines of your own](../transforms.md). Label models have
[a page of their own](labelmodel.md). The site shows signatures and docstrings here; in an editor,
look at the docstrings themselves.
"""

LABELMODEL = """\
# Label models in Python

What `import labelmodel` offers: votes, models, scores. It needs numpy and scipy only.
[The label model](../labelmodel.md) explains the methods, [label models in five
minutes](../howto/label-models.md) shows them at work.
"""


NUMPYDOC = """
    options:
      docstring_style: numpy
      docstring_options: {}"""


def labelmill_page() -> str:
    """Return the page about labelmill, its testing helpers and the steps for Beam."""
    modules = ("labelmill", "labelmill.testing", "transforms")
    return LABELMILL + "".join(section(module) for module in modules)


def labelmodel_page() -> str:
    """Return the page about label models, whose docstrings are in numpydoc's form."""
    return LABELMODEL + section("labelmodel", NUMPYDOC)


def section(package: str, options: str = "") -> str:
    shown = "".join(f"\n::: {package}.{name}{options}\n" for name in public_names(package))
    return f"\n## {package}\n{shown}"


def public_names(package: str) -> list[str]:
    """Return what a module offers: its `__all__`, or else the public names that it defines."""
    module = griffe.load(package, search_paths=[ROOT], allow_inspection=False)
    names = module.exports or [
        name
        for name, member in module.members.items()
        if not (member.is_alias or name.startswith("_")) and (member.is_class or member.is_function)
    ]
    return sorted(map(str, names), key=str.lower)
