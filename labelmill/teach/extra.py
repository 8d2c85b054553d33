"""The extra `teach`, asked for only where it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from labelmill.errors import JobSpecError


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep linear algebra to one thread, so that its sums do not depend on how many there are.

    Raises:
        JobSpecError: The extra `teach` is not installed.
    """
    with needs_teach():
        from threadpoolctl import threadpool_limits  # noqa: PLC0415  an extra
    with threadpool_limits(1):
        yield


@contextmanager
def needs_teach() -> Iterator[None]:
    """Turn a missing package of the extra into an error that says what to install.

    Raises:
        JobSpecError: An import in the block failed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise JobSpecError(
            f"{error.name} is not installed, which training a classifier and changing a job file "
            "need; pip install 'labelmill[teach]'"
        ) from error
