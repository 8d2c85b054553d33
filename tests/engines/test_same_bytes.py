"""Every engine publishes what the local runner does, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator

import engines
import pytest
from engine_jobs import Local, assert_same_version, manifest, run

TWO_PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
ENGINES = {
    "prism": engines.prism,
    "portable": engines.portable_pool,
    "flink": engines.flink_embedded,
    "spark": engines.spark_embedded,
    "spark-cluster": engines.spark_cluster,
    "flink-cluster": engines.flink_cluster,
}


def params(*names: str) -> list:
    return [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]


@pytest.fixture(scope="module", params=params(*ENGINES))
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[engines.Engine]:
    """Each engine in turn, for all tests of this module."""
    with ENGINES[request.param](tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.mark.parametrize("kind", ["demo", "texts"])
def test_same_bytes(engine, kind, tmp_path, request):
    local: Local = request.getfixturevalue(kind)

    run(local.job, tmp_path / "out", *engine.flags)

    assert_same_version(tmp_path / "out", local.out)
    assert manifest(tmp_path / "out").run["runner"] != "FnApiRunner"


@pytest.mark.parametrize("engine", params("prism", "portable", "flink", "spark"), indirect=True)
def test_same_bytes_of_a_fit_in_stages(engine, staged, tmp_path):
    run(staged.job, tmp_path / "out", *engine.flags)

    assert_same_version(tmp_path / "out", staged.out)


@pytest.mark.parametrize("kind", ["demo", "texts", "staged"])
def test_two_local_processes_publish_the_same_bytes(kind, tmp_path, request):
    local: Local = request.getfixturevalue(kind)

    run(local.job, tmp_path / "out", *TWO_PROCESSES)

    assert_same_version(tmp_path / "out", local.out)
