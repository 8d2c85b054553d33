"""Killed runs, runs at the same time, and readers of our output that go away."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labelmill.store import Store
from labelmill.versions import list_versions, read_manifest, verify_version

ROOT = Path(__file__).parents[2]

SLOW = """
import time
from labelmill import keywords, labeling_function

money = keywords("money", label="spam", words=["cash"])


@labeling_function(batch=True)
def slow(batch):
    time.sleep({seconds})
    return ["ham" if "lunch" in text else None for text in batch["text"].to_pylist()]
"""


def command(job: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "pipelines", "run", str(job), *flags]


def wait_for(folder: Path, seconds: float = 60, name: str = "[!.]*") -> None:
    """Wait until a file is stored in `folder`."""
    deadline = time.monotonic() + seconds
    while not list(folder.glob(name)):
        assert time.monotonic() < deadline, f"nothing in {folder}"
        time.sleep(0.02)


def test_killed_run_publishes_nothing_and_the_rerun_resumes(make_job):
    job = make_job()
    (job.parent / "lfs.py").write_text(SLOW.format(seconds=0.5))
    out = job.parent / "out"
    process = subprocess.Popen(command(job), cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_for(out / "votes")
    process.send_signal(signal.SIGKILL)
    process.wait()
    store = Store.open(str(out))
    stored = store.list("votes")
    assert 0 < len(stored) < 3
    assert list_versions(store) == []

    subprocess.run(command(job), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    manifest = read_manifest(store)
    assert manifest.run["shards_reused"] >= len(stored)
    assert verify_version(store) == []
    subprocess.run(
        command(job, "--set", "output.uri=calm"), cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    assert read_manifest(Store.open(str(job.parent / "calm"))).digest == manifest.digest


LOGGING = """
import time
from pathlib import Path
from labelmill import keywords, labeling_function

money = keywords("money", label="spam", words=["cash"])


def log(name, batch):
    if batch.num_rows == 100:  # a whole shard, not a slice of the plan's sample
        with Path({log!r}).open("a") as file:
            file.write(name + batch["id"][0].as_py() + "\\n")


@labeling_function(batch=True)
def kept(batch):
    log("kept ", batch)
    return [None] * batch.num_rows


@labeling_function(batch=True)
def edited(batch):
    log("{label} ", batch)
    time.sleep({seconds})
    return ["{label}" if "lunch" in text else None for text in batch["text"].to_pylist()]
"""


def test_killed_refresh_goes_on_with_what_it_had_not_stored(make_job):
    job = make_job(gates={"max_label_shift": 1.0, "max_gold_loss": 1.0})
    log, lfs, out = job.parent / "log", job.parent / "lfs.py", job.parent / "out"
    options = {"cwd": ROOT, "stdout": subprocess.DEVNULL}
    lfs.write_text(LOGGING.format(log=str(log), label="ham", seconds=0))
    subprocess.run(command(job), check=True, **options)
    store = Store.open(str(out))
    before = set(store.list("votes"))
    assert len(log.read_text().split("\n")) == 7

    lfs.write_text(LOGGING.format(log=str(log), label="spam", seconds=0.5))
    process = subprocess.Popen(command(job), **options)
    while len(stored := set(store.list("votes")) - before) == 0:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = log.read_text()
    subprocess.run(command(job), check=True, **options)

    manifest = read_manifest(store)
    assert manifest.version == 2
    assert stored <= {file.path for file in manifest.files_of("votes")}
    lines = log.read_text().splitlines()
    assert sum(line.startswith("kept") for line in lines) == 3
    again = log.read_text().removeprefix(killed).splitlines()
    assert len(again) == 3 - len(stored)
    assert verify_version(store) == []


def test_of_two_runs_at_once_one_publishes_and_the_other_says_so(make_job):
    job = make_job()
    (job.parent / "lfs.py").write_text(SLOW.format(seconds=1))
    both = [
        subprocess.Popen(
            command(job, "--set", f"gold.seed={n}", "--set", "gold.fit=0.5"),
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n in range(2)
    ]  # fmt: skip

    ends = [(process.communicate(timeout=120), process.returncode) for process in both]

    assert sorted(code for _, code in ends) == [0, 1]
    loser = next(err for (_, err), code in ends if code == 1)
    assert "version 1" in loser
    assert "Traceback" not in loser
    store = Store.open(str(job.parent / "out"))
    assert list_versions(store) == [1]
    assert verify_version(store) == []


@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["screen", "json"])
def test_reader_that_goes_away_does_not_undo_the_publication(make_job, flags):
    job = make_job()
    read, write = os.pipe()
    os.close(read)

    done = subprocess.run(
        [*command(job), *flags],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert list_versions(Store.open(str(job.parent / "out"))) == [1]


HANGING = """
import re
from labelmill import labeling_function


@labeling_function()
def hangs(x):
    if x.id >= "{first}":
        open("hanging", "w").close()
        re.search("(a+)+$", "a" * 40 + "b")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("stage", ["plan", "in_memory", "multi_processing"])
def test_ended_run_leaves_no_process_behind(make_job, name, stage):
    job = make_job()
    first = "m00000" if stage == "plan" else "m00100"  # the plan tries the first shard
    (job.parent / "lfs.py").write_text(HANGING.format(first=first))
    mode, processes = (stage, 2) if stage == "multi_processing" else ("in_memory", 1)
    flags = [f"--direct_running_mode={mode}", f"--direct_num_workers={processes}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LABELMILL_TEST": str(job)}
    process = subprocess.Popen(
        command(job, "--set", "limits.timeout=600", *flags),
        cwd=job.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    wait_for(job.parent, 60, "hanging")
    marked = f"LABELMILL_TEST={job}"
    assert len(processes_with(marked)) > 1

    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=30)

    if name != "SIGKILL":
        assert process.returncode == 130
        assert "stopped; nothing was published" in err.splitlines()[-1]
    deadline = time.monotonic() + 20
    while left := processes_with(marked):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def processes_with(variable: str) -> dict[int, str]:
    """Return the commands of the processes that have this in their environment, by number."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def test_closed_output_is_no_error(make_job):
    job = make_job()

    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {shlex.join(command(job))} >&-"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert list_versions(Store.open(str(job.parent / "out"))) == [1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_full_disk_is_no_bug_of_ours(make_job):
    job = make_job()

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(job), cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 1
    assert "No space left on device; make room" in done.stderr
    assert "bug" not in done.stderr
