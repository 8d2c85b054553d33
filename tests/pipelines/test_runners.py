"""Which Beam runner and flags an engine gets, and what is refused."""

from __future__ import annotations

import pytest

from labelmill.errors import JobSpecError
from pipelines.runners import choose_runner

DATAFLOW = ["--project=p", "--region=r", "--temp_location=gs://b/t", "--sdk_container_image=i"]


def choose(name, *flags, seconds=0.0, shards=1):
    return choose_runner(name, list(flags), projected_seconds=seconds, n_shards=shards)


@pytest.mark.parametrize(
    ("name", "flags", "runner", "added"),
    [
        ("flink", [], "FlinkRunner", ["--environment_type=LOOPBACK"]),
        (
            "flink",
            ["--flink_master=m:8081"],
            "FlinkRunner",
            ["--environment_type=EXTERNAL", "--environment_config=localhost:50000"],
        ),
        (
            "FlinkRunner",
            ["--job_endpoint=h:1", "--environment_config=localhost:7"],
            "PortableRunner",
            ["--environment_type=EXTERNAL"],
        ),
        ("flink", ["--job_endpoint=h:1", "--environment_type=LOOPBACK"], "PortableRunner", []),
        (
            "spark",
            ["--experiments=pre_optimize=none", "--environment_cache_millis=5"],
            "SparkRunner",
            ["--environment_type=LOOPBACK"],
        ),
        (
            "spark",
            ["--job_endpoint=h:1", "--environment_type=PROCESS"],
            "PortableRunner",
            ["--experiments=pre_optimize=all", "--environment_cache_millis=60000"],
        ),
        ("dataflow", DATAFLOW, "DataflowRunner", []),
        ("PortableRunner", ["--job_endpoint=embed"], "PortableRunner", []),
        ("my.module.Runner", [], "my.module.Runner", []),
    ],
)
def test_a_profile_adds_what_was_not_given(name, flags, runner, added):
    choice = choose(name, *flags)

    assert choice.runner == runner
    assert list(choice.flags) == [*added, *flags]
    assert not choice.is_local


def test_prism_is_found_on_path(tmp_path, monkeypatch):
    program = tmp_path / "prism"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert f"--prism_location={program}" in choose("prism").flags
    assert choose("prism", "--prism_location=/x").flags[-1] == "--prism_location=/x"
    assert choose("prism", "--prism_location=/x").needs_launcher


@pytest.mark.parametrize("left_out", DATAFLOW)
def test_dataflow_without_a_flag_that_only_the_user_knows_is_refused(left_out):
    name = left_out.partition("=")[0]
    with pytest.raises(JobSpecError, match=name):
        choose("dataflow", *(flag for flag in DATAFLOW if flag != left_out))


@pytest.mark.parametrize(
    ("name", "hint"), [("flnk", "did you mean flink"), ("sprk", "did you mean spark")]
)
def test_a_misspelt_engine_is_refused(name, hint):
    with pytest.raises(JobSpecError, match=hint):
        choose(name)


def test_an_unknown_flag_is_refused():
    with pytest.raises(JobSpecError, match="did you mean --parallelism"):
        choose("flink", "--paralelism=2")


@pytest.mark.parametrize(
    ("name", "flags", "reason"),
    [
        ("local", [], "local runner"),
        ("flink", [], "LOOPBACK"),
        ("flink", ["--environment_type=EXTERNAL"], "job service in this process"),
        ("flink", ["--flink_master=m:1"], "job service in this process"),
        ("flink", ["--flink_master=m:1", "--flink_submit_uber_jar"], None),
        ("PortableRunner", ["--job_endpoint=embed"], "job service in this process"),
        ("flink", ["--job_endpoint=h:1"], None),
        ("spark", ["--environment_type=EXTERNAL"], "job service in this process"),
        ("spark", ["--job_endpoint=h:1"], None),
        ("dataflow", DATAFLOW, None),
    ],
)
def test_which_runs_end_with_their_launcher(name, flags, reason):
    found = choose(name, *flags).needs_launcher

    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(
    ("flags", "address"),
    [
        (["--flink_master=m:8081"], "m:8081"),
        (["--flink_master=http://m:8081/"], "m:8081"),
        (["--flink_master=[local]"], None),
        ([], None),
    ],
)
def test_where_flink_can_be_asked(flags, address):
    assert choose("flink", *flags).flink_address == address


def test_large_local_plans_use_processes(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)

    assert "--direct_num_workers=3" in choose("local", seconds=100, shards=3).flags
    assert choose("local", seconds=1, shards=3).flags == ()
    assert choose("direct", "--direct_num_workers=2", seconds=100, shards=3).flags == (
        "--direct_num_workers=2",
    )
