"""What other packages answer on given votes: from their own environments, or as stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = Path(__file__).with_name("references")
IN_CI = os.environ.get("CI") == "true"


def stored_answers(package):
    """Return the answers that `store_answers` wrote, by name of the case."""
    return json.loads((REFERENCES / f"{package}_fits.json").read_text(encoding="utf-8"))


def live_answers(package, cases):
    """Return the answers to cases by name; skip where the environment cannot be made, but in CI."""
    script = ROOT / "scripts" / "side_environment.py"
    made = subprocess.run(
        [sys.executable, str(script), package], capture_output=True, text=True, check=False
    )
    if made.returncode:
        problem = f"the environment of {package} cannot be made: {made.stderr.strip()[-300:]}"
        (pytest.fail if IN_CI else pytest.skip)(problem)
    done = subprocess.run(
        [made.stdout.strip(), str(REFERENCES / f"{package}_fits.py")],
        input=json.dumps(list(cases.values())), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(zip(cases, json.loads(done.stdout), strict=True))


def store_answers(package, cases):
    """Write the answers that `stored_answers` reads."""
    target = REFERENCES / f"{package}_fits.json"
    target.write_text(json.dumps(live_answers(package, cases)), encoding="utf-8")
