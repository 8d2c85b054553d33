"""Whole jobs on object stores, with credentials in the environment only."""

from __future__ import annotations

import base64
import bz2
import os
import re
import subprocess
import sys
import uuid
from dataclasses import replace

import pytest
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from faulty_proxy import FaultyProxy, faulty_proxy
from jobs import PARTS, ROOT, ROWS, Places, contents, labels_of, run, write_job, write_part
from servers import SECRETS

from labelmill.corpus import plan_corpus
from labelmill.jobfile import load_job
from labelmill.publication import RunInfo
from labelmill.store import Store
from labelmill.versions import read_manifest, verify_version
from pipelines.graph import GraphInputs, build_graph
from pipelines.plan import make_plan


@pytest.fixture(scope="module")
def spread(s3, gcs, azure):
    """Places on all of the stores."""
    return Places(
        corpus=f"{gcs.uri}/corpus",
        gold=f"{azure.uri}/gold",
        words=f"{azure.uri}/words",
        output=f"{s3.uri}/out",
    )


@pytest.fixture(scope="module")
def printed(tmp_path_factory, spread):
    """What the job prints that is spread over all stores, run by two processes."""
    processes = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    return run(write_job(tmp_path_factory.mktemp("job"), spread), "--verbose", *processes)


@pytest.mark.usefixtures("printed")
def test_job_spread_over_all_stores_gives_the_labels_of_local_disk(tmp_path, spread):
    local = Places.below(str(tmp_path / "local"))
    run(write_job(tmp_path / "job", local))

    assert labels_of(spread.output) == labels_of(local.output)
    assert verify_version(Store.open(spread.output)) == []


def test_no_credential_is_stored_or_printed(printed, spread):
    store = Store.open(spread.output)
    stored = {path: store.get(path) for path in store.list()}
    assert len(stored) > 10
    for secret in SECRETS:
        assert secret not in printed
        assert [path for path, data in stored.items() if secret.encode() in data] == []


def test_no_credential_is_in_the_job_graph_or_its_options(tmp_path, spread):
    spec, folder = load_job(write_job(tmp_path, spread), [])
    plan = make_plan(spec, folder)
    run_info = RunInfo("r", "2026-01-01", "local", "0", 1, None, None, plan.inputs_digest)
    pipeline = Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    shards = plan.corpus.shards
    build_graph(pipeline, GraphInputs(shards, plan.task, plan.prepared, run_info, 1))

    graph = _unpacked(pipeline.to_runner_api().SerializeToString())

    assert spread.output.encode() in graph
    for secret in SECRETS:
        assert secret.encode() not in graph
        assert secret not in str(pipeline.options.get_all_options())


def _unpacked(graph):
    """Return a serialised graph followed by what its steps hold, which Beam compresses."""
    packed = (base64.b64decode(part) for part in re.findall(rb"Qlpo[A-Za-z0-9+/]+=*", graph))
    return b"\n".join([graph, *map(bz2.decompress, packed)])


def test_new_file_in_the_bucket_is_the_only_one_voted_on(tmp_path, server):
    places = Places.below(f"{server.uri}/{uuid.uuid4().hex}")
    job = write_job(tmp_path, places)
    run(job)
    write_part(places, 6, range(300, 350))

    run(job)

    manifest = read_manifest(Store.open(places.output))
    assert manifest.counts["rows"] == 350
    assert manifest.run["shards_reused"] == 6


def test_file_replaced_by_one_of_the_same_size_is_another_file(server):
    places = Places.below(f"{server.uri}/{uuid.uuid4().hex}")
    corpus = Store.open(places.corpus)

    def fingerprint():
        planned = plan_corpus(f"{places.corpus}/*.jsonl", columns=["text"], id_column="id")
        return [shard.fingerprint for shard in planned.shards]

    corpus.put("a.jsonl", b'{"id": "1", "text": "one"}')
    first = fingerprint()
    corpus.put("a.jsonl", b'{"id": "1", "text": "two"}')

    assert fingerprint() != first


# Azure's client waits 15 s before it asks again, which is right for a cloud.
IMPATIENT = """
from azure.storage.blob._shared.policies_async import ExponentialRetry

ExponentialRetry.get_backoff_time = lambda self, settings: 0.1
from pipelines.cli import main

main()
"""
IMPATIENT_RUN = [sys.executable, "-c", IMPATIENT, "run"]


def test_job_on_a_store_whose_connections_break_gives_the_same_bytes(tmp_path, server):
    calm = Places.below(f"{server.uri}/{uuid.uuid4().hex}")
    shaken = replace(calm, output=f"{calm.output}-shaken")
    job = write_job(tmp_path, calm)
    run(job)
    with faulty_proxy(FaultyProxy(server.port, rate=0.05)) as proxy:
        done = subprocess.run(
            [*IMPATIENT_RUN, str(job), "--set", f"output.uri={shaken.output}"], cwd=ROOT,
            env={**os.environ, **server.through(proxy.port)}, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert proxy.seen["none"] < proxy.seen.total()
    assert contents(shaken.output) == contents(calm.output)


def test_corpus_is_read_whole_though_a_quarter_of_the_requests_break(tmp_path, server):
    places = Places.below(f"{server.uri}/{uuid.uuid4().hex}")
    job = write_job(tmp_path, places)
    local = str(tmp_path / "out")
    with faulty_proxy(FaultyProxy(server.port, rate=0.25)) as proxy:
        done = subprocess.run(
            [*IMPATIENT_RUN, str(job), "--set", f"output.uri={local}"], cwd=ROOT,
            env={**os.environ, **server.through(proxy.port)}, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert proxy.seen["none"] < proxy.seen.total()
    assert len(labels_of(local)) == PARTS * ROWS
