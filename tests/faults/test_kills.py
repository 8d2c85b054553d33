"""Runs that are killed with SIGKILL: what they leave, what readers see, what the next run does."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killing import MOMENTS, Kill
from refreshing import ACCEPT, Days, manifests, problems, reader_of, run, start

from labelmill.retention import FOLDERS
from labelmill.store import Store
from pipelines.cli import _main as labelmill_command
from transforms.overlap import AT_ONCE

ROOT = Path(__file__).parents[2]
HOOK = Path(__file__).with_name("hook")

KINDS = {
    "probe": "_labelmill/probe-",
    "submission": "_labelmill/submissions/",
    "resource": "resources/",
    "code": "code/",
    "faults": "faults/",
    "ids": "ids/",
    "votes": "votes/",
    "patterns": "patterns/",
    "labels": "labels/",
    "model": "models/",
    "manifest": "_labelmill/versions/",
    "hint": "_labelmill/current.json",
    "outcome": "_labelmill/runs/",
}
"""How the paths of each kind of put begin, in the order in which a run makes them."""

OWN_ENDS = ("", "/runs", "/submissions", "/versions")

STEPS = [(kind, moment, 1) for kind in KINDS for moment in MOMENTS]
STEPS += [("votes", "after", 2), ("labels", "after", 2)]
STEPS += [("patterns", "after", 3)]  # all votes are there, nothing is fitted
FAST = [("votes", "during", 2), ("manifest", "before", 1)]


class Refresh:
    """A data set of one version, and what the next one has to be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.days = Days(folder)
        assert run(self.days.job, folder / "first") == 0
        self.first_votes = set(Store.open(folder / "first").list("votes"))
        self.days.edit()
        self.days.edit_words()
        self.days.drop_file()
        self.days.add_file()
        self.days.write()
        self.calm = self.copy("calm")
        before = self.days.calls_so_far()
        assert run(self.days.job, self.calm) == 0
        self.calls = self.days.calls_since(before)
        assert sorted(self.calls.values()) == [1, 1, 1, 1]  # 3 shards of one, 1 new of another
        self.contents = contents(shutil.copytree(self.calm, folder / "cleaned"))

    def copy(self, name: str) -> Path:
        out = self.folder / name
        shutil.copytree(self.folder / "first", out)
        return out


@pytest.fixture(scope="module")
def refresh(tmp_path_factory):
    return Refresh(tmp_path_factory.mktemp("refresh"))


def contents(out):
    """Return the files of a data set that a clean-up leaves, without those that name runs."""
    store = Store.open(out)
    assert labelmill_command(["gc", str(out), "--keep", "1", "--min-age", "0"]) == 0
    listed = [file.path for file in store.list_files()]
    named = {file.path for file in manifests(out)[-1].files}
    assert named == {path for path in listed if path.partition("/")[0] in FOLDERS}
    others = {path.rpartition("/")[0] for path in set(listed) - named}
    assert {"_labelmill/versions"} <= others <= {f"_labelmill{end}" for end in OWN_ENDS}
    assert not [file.path for file in store.list_files() if file.is_temporary]
    assert not [path for path in listed if path.startswith(KINDS["probe"])]
    return {path: store.get(path) for path in named}


def check_step(refresh, kind, moment, count):
    name = f"{kind}-{moment}-{count}"
    out, days = refresh.copy(name), refresh.days
    once, log = refresh.folder / f"{name}.once", refresh.folder / f"{name}.log"
    before = days.calls_so_far()
    with reader_of(out) as reader:
        kill = Kill(KINDS[kind], moment, count, str(log), str(once))
        assert run(days.job, out, kill) == -signal.SIGKILL
        assert once.exists()
        killed = days.calls_since(before)
        stored = log.read_text().splitlines() if log.exists() else []
        votes_stored = len(set(Store.open(out).list("votes")) - refresh.first_votes)
        committed = any(path.startswith(KINDS["manifest"]) for path in stored)
        assert len(manifests(out)) == 1 + committed

        assert run(days.job, out, Kill("", "", 0, str(log), str(once))) == 0

    assert set(reader.seen) <= {1, 2}
    assert [m.digest for m in manifests(out)] == [m.digest for m in manifests(refresh.calm)]
    assert problems(out) == []
    puts = log.read_text().splitlines()
    for folder in ("votes/", "labels/"):  # the usual name of votes: one put for each shard
        whole = [path for path in puts if path.startswith(folder)]
        assert sorted(whole) == sorted(set(whole))
    again = days.calls_since(before) - killed
    done = sum(call.startswith("edited") for call in killed)
    assert done - votes_stored <= AT_ONCE
    assert sum(call.startswith("edited") for call in again) == 3 - votes_stored
    return out


@pytest.mark.parametrize(("kind", "moment", "count"), FAST)
def test_refresh_killed_at_a_put_goes_on_to_the_same_version(refresh, kind, moment, count):
    check_step(refresh, kind, moment, count)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "moment", "count"), [s for s in STEPS if s not in FAST])
def test_refresh_killed_at_any_put_goes_on_to_the_same_version(refresh, kind, moment, count):
    out = check_step(refresh, kind, moment, count)
    assert contents(out) == refresh.contents


def check_chain(folder, days, kills, seed):
    """Kill refreshes at random times, day after day, beside a chain that nobody disturbs."""
    chance = random.Random(seed)
    chain = Days(folder, seed)
    calm, shaken = folder / "calm", folder / "shaken"
    deaths = 0
    with reader_of(shaken) as reader:
        for _ in range(days):
            started = time.monotonic()
            assert run(chain.job, calm) == 0
            longest = time.monotonic() - started
            for _ in range(kills):
                process = start(chain.job, shaken)
                process.join(chance.uniform(0.1, 1) * longest)
                process.kill()
                process.join()
                assert process.exitcode in (0, -signal.SIGKILL)
                deaths += process.exitcode != 0
            assert run(chain.job, shaken) == 0
            assert manifests(shaken)[-1].digest == manifests(calm)[-1].digest
            chain.pass_day()
    assert set(reader.seen) <= set(range(1, days + 1))
    assert [m.digest for m in manifests(shaken)] == [m.digest for m in manifests(calm)]
    assert problems(shaken) == []
    assert contents(shaken) == contents(calm)
    return deaths


def test_refreshes_killed_at_random_times_give_the_versions_of_calm_ones(tmp_path):
    assert check_chain(tmp_path, days=2, kills=1, seed=1) > 0


@pytest.mark.slow
def test_refreshes_killed_at_fifty_random_times_give_the_versions_of_calm_ones(tmp_path):
    assert check_chain(tmp_path, days=10, kills=5, seed=2) > 20


PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "moment"),
    [(kind, moment) for kind in ("votes", "labels", "manifest") for moment in ("during", "after")],
)
def test_run_whose_worker_is_killed_says_so_and_the_next_publishes_the_same(refresh, kind, moment):
    out = refresh.copy(f"worker-{kind}-{moment}")
    once, log = (refresh.folder / f"{out.name}.{end}" for end in ("once", "log"))
    kill = Kill(KINDS[kind], moment, 1, str(log), str(once))
    arguments = [str(refresh.days.job), "--set", f"output.uri={out}", *ACCEPT, *PROCESSES]
    places = {"PYTHONPATH": f"{HOOK}{os.pathsep}{ROOT}", "TMPDIR": str(refresh.folder)}
    with reader_of(out):
        done = subprocess.run(
            [sys.executable, "-m", "pipelines", "run", *arguments], cwd=ROOT, check=False,
            capture_output=True, text=True, timeout=120,
            env={**os.environ, **kill.in_environment(), **places},
        )  # fmt: skip
        assert once.exists()
        assert done.returncode == 1
        assert "a worker process ended" in done.stderr
        assert "run again" in done.stderr

        assert run(refresh.days.job, out) == 0

    assert [m.digest for m in manifests(out)] == [m.digest for m in manifests(refresh.calm)]
    assert problems(out) == []
