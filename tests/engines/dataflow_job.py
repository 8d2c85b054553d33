"""Builds a job for Dataflow without submitting it, and prints what the service would be sent.

Run by the Python that has Dataflow's client: JOB OUT FLAG...
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path

os.environ["NO_GCE_CHECK"] = "true"

from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from labelmill.jobfile import load_job
from pipelines import run as running
from pipelines.plan import make_plan
from pipelines.runners import choose_runner


def main() -> None:
    job, out, *flags = sys.argv[1:]
    spec, folder = load_job(Path(job), [f"output.uri={out}"])
    plan = make_plan(spec, folder, full=False)
    choice = choose_runner("dataflow", flags, projected_seconds=0, n_shards=1)
    results = []
    run = DataflowRunner.run_pipeline
    DataflowRunner.run_pipeline = lambda *given: results.append(run(*given)) or results[-1]
    running.submit_plan(plan, choice)
    (result,) = results
    proto = result.job.proto_pipeline
    options = result.job.options
    print(
        json.dumps(
            {
                "state": result.state,
                "bytes": proto.ByteSize(),
                "environments": Counter(e.urn for e in proto.components.environments.values()),
                "steps": [t.unique_name for t in proto.components.transforms.values()],
                "image": [
                    e.payload.decode(errors="replace")
                    for e in proto.components.environments.values()
                ],
                "job_name": result.job.proto.name,
                "options": {
                    key: str(value)
                    for key, value in options.get_all_options(drop_default=True).items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
