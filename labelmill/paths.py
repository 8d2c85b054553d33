"""Paths and URLs that a job file gives."""

from __future__ import annotations

from pathlib import Path

from labelmill.errors import JobSpecError


def resolve_uri(uri: str, folder: Path) -> str:
    """Return `uri`, made absolute against `folder` when it is a relative local path.

    Raises:
        JobSpecError: It begins with ``~somebody``, who has no home here.
    """
    if "://" in uri or "::" in uri or uri.startswith("/"):
        return uri
    try:
        return str(folder / Path(uri).expanduser())
    except RuntimeError as error:
        raise JobSpecError(f"{uri}: {error}") from error
