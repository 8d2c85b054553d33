#!/usr/bin/env python3
"""Print the container spec of the Flex Template: what launches from one URL.

    container_spec.py REGISTRY VERSION

The workers' image is part of it, so that a job's launcher and workers are of one version.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def container_spec(registry: str, version: str) -> dict[str, Any]:
    """Return the spec, with the names that Dataflow's API has for its fields."""
    return {
        "image": f"{registry}/labelmill-dataflow-template:{version}",
        "sdkInfo": {"language": "PYTHON"},
        "metadata": json.loads((HERE / "metadata.json").read_text(encoding="utf-8")),
        "defaultEnvironment": {
            "sdkContainerImage": f"{registry}/labelmill-worker:{version}",
            "additionalExperiments": ["use_runner_v2"],
        },
    }


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: container_spec.py REGISTRY VERSION")
    print(json.dumps(container_spec(*sys.argv[1:]), indent=2))
