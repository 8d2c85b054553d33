"""How long a plan is thought to take on an engine."""

from __future__ import annotations

import dataclasses
import json

import pytest

from labelmill.jobfile import load_job
from pipelines.capacity import ENGINES, FIT_SECONDS, PUTS_PER_SHARD, SECONDS_PER_PUT, project
from pipelines.cli import _main
from pipelines.plan import make_plan


@pytest.fixture
def plan(make_job):
    spec, folder = load_job(make_job(), [])
    return make_plan(spec, folder, full=False)


def test_more_workers_help_until_every_shard_has_one(plan):
    seconds = [project(plan, "flink", n).working for n in (1, 2, 3, 4)]

    largest = project(plan, "flink", 4).largest_shard
    assert seconds[0] > seconds[1] > seconds[2]
    assert seconds[2:] == pytest.approx([largest] * 2, rel=0.05)
    assert seconds[3] == largest


def test_the_parts_add_up(plan):
    found = project(plan, "spark", 1)

    assert found.start == ENGINES["spark"].start
    assert found.working == pytest.approx(found.functions + found.records)
    assert found.ending == pytest.approx(FIT_SECONDS, abs=0.01)
    assert found.seconds == found.start + found.working + found.ending
    assert found.core_hours == pytest.approx(found.seconds / 3600)


def test_a_bucket_costs_its_puts(plan):
    output = plan.job.output.model_copy(update={"uri": "s3://b/x"})
    far = dataclasses.replace(plan, job=plan.job.model_copy(update={"output": output}))

    more = project(far, "flink", 1).records - project(plan, "flink", 1).records

    assert more == pytest.approx(3 * PUTS_PER_SHARD * SECONDS_PER_PUT)


def test_the_command_shows_it_and_says_what_is_not_measured(make_job, capfd):
    job = str(make_job())

    assert _main(["plan", job, "--runner=dataflow", "--workers=50"]) == 0
    assert "on dataflow with 50 workers" in capfd.readouterr().out
    assert _main(["plan", job, "--runner=dataflow", "--workers=50", "--json"]) == 0

    projection = json.loads(capfd.readouterr().out)["projection"]
    assert projection["workers"] == 50
    assert projection["is_measured"] is False
    assert projection["seconds"] > ENGINES["dataflow"].start
