"""The job graph under every local mode, and what its edges are made of."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.pipeline_context import PipelineContext

from labelmill.jobfile import load_job
from labelmill.manifest import Manifest
from labelmill.publication import RunInfo
from labelmill.store import Store
from labelmill.versions import read_manifest
from pipelines.graph import GraphInputs, build_graph
from pipelines.plan import make_plan
from pipelines.run import run_plan
from pipelines.runners import choose_runner

MODES = {
    "in_memory": [],
    "two_threads": ["--direct_running_mode=multi_threading", "--direct_num_workers=2"],
    "bundle_repeat": ["--direct_runner_bundle_repeat=2"],
    "two_processes": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
}

GOLD = {"field": "gold", "op": "not null"}
"""Predicate of a slice of the records with gold."""


def publish(job: Path, flags: list[str], out: str) -> tuple[Manifest, dict[str, str]]:
    """Run a job into a fresh output; return its manifest and the digest of every file."""
    spec, folder = load_job(job, [f"output.uri={out}"])
    plan = make_plan(spec, folder)
    choice = choose_runner("local", flags, projected_seconds=0, n_shards=3)
    finished = run_plan(plan, choice)
    assert finished.outcome.status == "published", finished.outcome.message
    store = Store.open(spec.output.uri)
    paths = [p for p in store.list() if not p.startswith("_labelmill")]
    files = {path: hashlib.sha256(store.get(path)).hexdigest() for path in paths}
    return read_manifest(store), files


def test_every_local_mode_publishes_the_same_bytes(make_job):
    slices = {"lunch": {"keywords": {"words": ["lunch"]}}, "gold": GOLD}
    job = make_job(gold={"column": "gold", "fit": 0.3}, slices=slices)
    results = {mode: publish(job, flags, f"out-{mode}") for mode, flags in MODES.items()}

    manifest, files = results["in_memory"]
    assert manifest.counts["rows"] == 300
    assert {path.split("/")[0] for path in files} == {
        "code",
        "ids",
        "labels",
        "models",
        "patterns",
        "slices",
        "votes",
    }
    for mode, (other, other_files) in results.items():
        assert other_files == files, mode
        assert other.digest == manifest.digest, mode


def test_sharding_does_not_change_the_model_or_the_labels(make_job):
    job = make_job(slices={"gold": GOLD})
    whole, _ = publish(job, [], "out-whole")
    spec, folder = load_job(job, ["output.uri=out-cut", "input.shard_mb=0.002"])
    plan = make_plan(spec, folder)
    assert len(plan.corpus.shards) > 3

    run_plan(plan, choose_runner("local", [], projected_seconds=0, n_shards=3))

    cut = read_manifest(Store.open(spec.output.uri))
    assert cut.model_digest == whole.model_digest
    assert cut.counts["class_counts"] == whole.counts["class_counts"]
    assert cut.summary == whole.summary


def pipeline_proto(job: Path):
    spec, folder = load_job(job)
    plan = make_plan(spec, folder)
    run = RunInfo("r", "now", "x", "v", 1, None, None, plan.inputs_digest)
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    build_graph(pipeline, GraphInputs(plan.corpus.shards, plan.task, plan.prepared, run, 300))
    return pipeline.to_runner_api()


def test_no_edge_of_the_graph_falls_back_to_pickle(make_job):
    proto = pipeline_proto(make_job(slices={"gold": GOLD}))
    context = PipelineContext(proto.components)
    fallbacks = (
        coders.PickleCoder,
        coders.DillCoder,
        coders.CloudpickleCoder,
        coders.FastPrimitivesCoder,
    )

    def leaves(coder):
        parts = coder._get_component_coders()
        return [leaf for part in parts for leaf in leaves(part)] if parts else [coder]

    # Beam's own steps make the first elements and the random keys of a reshuffle: small ints.
    own = re.compile(r"Impulse|/(Create|Once|Shards|Ranges)|^\d*(Shards|Once|Ranges)|Reshuffle")
    fallen = {
        pcollection.unique_name
        for pcollection in proto.components.pcollections.values()
        for leaf in leaves(context.coders.get_by_id(pcollection.coder_id))
        if isinstance(leaf, fallbacks)
    }

    assert [name for name in sorted(fallen) if not own.search(name)] == []


def test_graph_stays_small_and_its_steps_have_stable_names(make_job):
    first, second = (pipeline_proto(make_job(folder)) for folder in ("a", "b"))

    assert len(first.SerializeToString()) < 200_000
    names = [
        sorted(t.unique_name for t in proto.components.transforms.values())
        for proto in (first, second)
    ]
    assert names[0] == names[1]
    steps = {name.split("/")[0] for name in names[0]}
    assert {
        "ApplyLabelingFunctions", "CountVotePatterns", "FitLabelModel", "LabelShards", "Publish",
    } <= steps  # fmt: skip


@pytest.mark.parametrize("package", ["labelmill", "labelmodel"])
def test_cores_do_not_import_beam_or_the_layers_above(package):
    import subprocess
    import sys

    others = {"labelmill": {"labelmodel"}, "labelmodel": {"labelmill", "pyarrow"}}[package]
    code = (
        f"import sys, pkgutil, importlib, {package}\n"
        f"for m in pkgutil.walk_packages({package}.__path__, '{package}.'):\n"
        "    importlib.import_module(m.name)\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True,
            cwd=Path(__file__).parents[2],
        ).stdout.split()
    )  # fmt: skip

    assert not loaded & ({"apache_beam", "transforms", "pipelines"} | others)
