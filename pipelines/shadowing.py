"""Stops when another package has the name of one of labelmill's top-level packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from labelmill.errors import LabelmillError

PACKAGES = ("labelmill", "labelmodel", "transforms", "pipelines")


def check_packages(names: tuple[str, ...] = PACKAGES) -> None:
    """Check that all our packages are imported from one place.

    Raises:
        LabelmillError: One is not; names the file that shadows it.
    """
    home = Path(__file__).resolve().parent.parent
    for name in names:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found is None or found.parent.parent != home:
            raise LabelmillError(
                f"package {name!r} of labelmill is shadowed by {found or 'nothing importable'}; "
                f"labelmill is in {home}: rename the other package, run from another folder, or "
                "use a virtual environment of its own"
            )
