#!/usr/bin/env python3
"""What the launcher of a Dataflow Flex Template runs: parameters become a command line.

The launcher gives each parameter of metadata.json as `--name=value`, and the settings of the job
(project, region, machine type, worker image) as Beam's own flags, which pass through. It has to
end once the job is built, so the command never waits: `labelmill status OUTPUT` tells the rest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

METADATA = Path(__file__).with_name("metadata.json")
SWITCHES = ("full", "verbose")
LISTS = ("set", "accept")


def command_line(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `run_job.py` for what the launcher gives.

    Args:
        arguments: ``--name=value`` each.

    Returns:
        The job, labelmill's options, Beam's flags.

    Raises:
        SystemExit: There is no job, or a switch is neither true nor false.

    >>> " ".join(command_line(["--job=gs://b/job.yaml", "--set=a=1;b=2", "--region=r"]))
    'gs://b/job.yaml --runner=dataflow --no-wait --set=a=1 --set=b=2 --region=r'
    """
    ours = {entry["name"] for entry in json.loads(METADATA.read_text())["parameters"]}
    given, beam_flags = {}, []
    for argument in arguments:
        name, _, value = argument.removeprefix("--").partition("=")
        if name in ours:
            given[name] = value
        elif name != "runner":
            beam_flags.append(argument)
    if not given.get("job"):
        sys.exit("the parameter `job` is missing: the gs:// URL of a job file")
    options = []
    for name in LISTS:
        options += [f"--{name}={value}" for value in given.get(name, "").split(";") if value]
    for name in SWITCHES:
        value = given.get(name, "false").lower()
        if value not in ("true", "false", ""):
            sys.exit(f"the parameter `{name}` is {value!r}: true or false")
        options += [f"--{name}"] if value == "true" else []
    return [given["job"], "--runner=dataflow", "--no-wait", *options, *beam_flags]


if __name__ == "__main__":
    import run_job  # beside this file in the image

    run_job.main(command_line(sys.argv[1:]))
