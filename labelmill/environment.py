"""What has to be the same at launcher and workers: labelmill's code and the packages under it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("apache-beam", "pyarrow", "numpy", "scipy", "fsspec", "hyperscan")
"""Packages whose versions may change results or what travels between processes."""

_CODE = ("labelmill", "labelmodel", "transforms", "pipelines")


def labelmill_version() -> str:
    """Return the installed version, or ``checkout`` when run from a bare one."""
    return _version("labelmill") or "checkout"


@cache
def environment() -> Mapping[str, str]:
    """Return name and version of what has to agree; a package that is not there is left out.

    The code of labelmill itself is given by a digest: two checkouts may have one version.
    """
    found = {"python": platform.python_version(), "labelmill": labelmill_version()}
    found["labelmill's code"] = _code_digest()
    return found | {name: v for name in PACKAGES if (v := _version(name)) is not None}


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Return how two environments differ, a phrase each; patches of Python do not count.

    >>> differences({"numpy": "2.1.0"}, {"numpy": "2.2.0"})
    ['numpy 2.1.0 here, 2.2.0 there']
    """
    names = sorted({*here, *there})
    return [
        f"{name} {here.get(name, 'missing')} here, {there.get(name, 'missing')} there"
        for name in names
        if _comparable(name, here.get(name)) != _comparable(name, there.get(name))
    ]


def _comparable(name: str, found: str | None) -> str | None:
    return found.rpartition(".")[0] if name == "python" and found else found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _code_digest() -> str:
    home = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in _CODE:
        for file in sorted((home / package).rglob("*.py")):
            digest.update(file.relative_to(home).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
