"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from message_job import write_job


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a job below a folder and gives its file."""

    def make(folder: str = "job", **changes: Any) -> Path:
        return write_job(tmp_path / folder, **changes)

    return make
