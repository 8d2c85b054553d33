"""What the local runner publishes, once, and every engine has to publish too."""

from __future__ import annotations

import pytest
from engine_jobs import Local, demo_job, run, text_job


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "engines":
            item.add_marker("engine")


MODEL = {"name": "dawid_skene", "options": {"max_iter": 6}, "gather_patterns": 0}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Local:
    folder = tmp_path_factory.mktemp("demo")
    job = demo_job(folder)
    run(job, folder / "local")
    return Local(job, folder / "local")


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Local:
    folder = tmp_path_factory.mktemp("texts")
    job = text_job(folder / "job")
    run(job, folder / "local")
    return Local(job, folder / "local")


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Local:
    """The texts again, with a model that is fitted in stages on all workers."""
    folder = tmp_path_factory.mktemp("staged")
    job = text_job(folder / "job", model=MODEL)
    run(job, folder / "local")
    return Local(job, folder / "local")
