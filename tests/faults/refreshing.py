"""A job that changes day by day, run by processes that can be killed; and who watches it."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from killing import Kill, arm
from message_job import write_messages

from labelmill import open_labels
from labelmill.history import history
from labelmill.manifest import Manifest
from labelmill.store import Store
from labelmill.versions import list_versions, read_manifest, verify_version

SHARD_ROWS = 100

LFS = """
from pathlib import Path

from labelmill import keywords, labeling_function

money = keywords("money", label="spam", words_file="money.txt")


def log(name, batch):
    if batch.num_rows == {rows}:  # a whole shard, not a slice of the plan's sample
        with Path({log!r}).open("a") as file:
            file.write(name + " " + batch["id"][0].as_py() + "\\n")


@labeling_function(batch=True)
def kept(batch):
    log("kept", batch)
    return ["spam" if "win" in text else None for text in batch["text"].to_pylist()]


@labeling_function(batch=True)
def edited(batch):
    log("edited-{edit}", batch)
    words = ["lunch", "hello", "meeting", "tomorrow"]
    return ["ham" if words[{edit} % 4] in text else None for text in batch["text"].to_pylist()]


@labeling_function()
def fails(x):
    if x.id.endswith("7"):
        raise ValueError(x.id)
"""

ACCEPT = [
    f"--accept={gate}"
    for gate in ("row_loss", "coverage_loss", "label_shift", "vote_shift", "gold_loss")
]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pipelines.cli", "pipelines.plan", "pipelines.run", "killing"])


class Days:
    """A corpus and functions that change from day to day.

    Attributes:
        job: The job file.
        calls: File that the functions log their work on whole shards to.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder = folder
        self.job, self.calls = folder / "job.yaml", folder / "calls"
        self._random = random.Random(seed)
        self._edit, self._next, self._words = 0, 0, ["cash", "prize"]
        self._files: list[int] = []
        for _ in range(3):
            self.add_file()
        self.calls.touch()
        self.write()

    def add_file(self) -> None:
        first = self._next * SHARD_ROWS
        write_messages(self._path(self._next), first, first + SHARD_ROWS)
        self._files.append(self._next)
        self._next += 1

    def drop_file(self) -> None:
        self._path(self._files.pop(0)).unlink()

    def edit(self) -> None:
        self._edit += 1

    def edit_words(self) -> None:
        self._words = ["free", f"word{self._random.random()}"]

    def pass_day(self) -> None:
        """Change something at random; at least a function, so that there is something to do."""
        self.edit()
        if len(self._files) > 3:
            self._random.choice([self.drop_file, self.edit_words])()
        self._random.choice([self.add_file, self.edit_words])()
        self.write()

    def write(self) -> None:
        text = LFS.format(log=str(self.calls), rows=SHARD_ROWS, edit=self._edit)
        (self.folder / "lfs.py").write_text(text)
        (self.folder / "money.txt").write_text("\n".join(self._words))
        job = {
            "name": "days",
            "input": {"uri": "data/*.jsonl", "id": "id"},
            "labels": ["ham", "spam"],
            "lfs": ["lfs.py"],
            "gold": {"column": "gold"},
            "output": {"uri": "out"},
            "gates": {"max_fault_rate": 0.5},
        }
        self.job.write_text(json.dumps(job))

    def _path(self, number: int) -> Path:
        return self.folder / "data" / f"{number:03d}.jsonl"

    def calls_since(self, before: int) -> Counter[str]:
        """Return how often each function worked on each shard since the log was so long."""
        return Counter(self.calls.read_text()[before:].splitlines())

    def calls_so_far(self) -> int:
        return self.calls.stat().st_size


def start(job: Path, out: Path, kill: Kill | None = None, *flags: str) -> ForkServerProcess:
    """Start `labelmill run` in a process of its own, whose imports are done."""
    arguments = ["run", str(job), "--set", f"output.uri={out}", *ACCEPT, *flags]
    process = _CONTEXT.Process(target=_run, args=(arguments, kill))
    process.start()
    return process


def run(job: Path, out: Path, kill: Kill | None = None, *flags: str) -> int:
    """Run to the end; return the exit code, -9 for a process that was killed."""
    process = start(job, out, kill, *flags)
    process.join(300)
    assert process.exitcode is not None
    return process.exitcode


def _run(arguments: Sequence[str], kill: Kill | None) -> None:
    from pipelines.cli import _main as labelmill_command

    folder = Path(arguments[1]).parent
    tempfile.tempdir = str(folder)  # a process that is killed leaves its folder there
    printed = (folder / "printed").open("a")
    os.dup2(printed.fileno(), 1)
    os.dup2(printed.fileno(), 2)
    if kill is not None:
        arm(kill)
    sys.exit(labelmill_command(list(arguments)))


class Reader(threading.Thread):
    """Reads the current version and the history over and over, and notes what it sees.

    Attributes:
        seen: By version, the digests of its labels as they were read.
        wrong: What no reader may see.
    """

    def __init__(self, out: Path) -> None:
        super().__init__(daemon=True)
        self._store, self._ends = Store.open(out), threading.Event()
        self.seen: dict[int, set[tuple[object, ...]]] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        latest = 0
        while not self._ends.wait(0.02):
            try:
                latest = self._look(latest)
            except Exception as error:  # whatever a reader meets is what this is looking for
                self.wrong.append(f"{type(error).__name__}: {error}")

    def _look(self, latest: int) -> int:
        versions = list_versions(self._store)
        if not versions:
            return latest
        current = versions[-1]
        if current < latest:
            self.wrong.append(f"version {current} after {latest}")
        manifest = read_manifest(self._store, current)
        rows = open_labels(self._store.uri, version=current).to_table().sort_by("id").to_pylist()
        if len(rows) != manifest.counts["rows"]:
            self.wrong.append(f"{len(rows)} records of {manifest.counts['rows']} in {current}")
        content = (manifest.digest, *(tuple(map(str, row.values())) for row in rows))
        self.seen.setdefault(current, set()).add(content)
        self.wrong += [v.damaged for v in history(self._store, 3) if v.damaged]
        return current

    def stop(self) -> None:
        self._ends.set()
        self.join()


@contextmanager
def reader_of(out: Path) -> Iterator[Reader]:
    """Read a data set as long as the block goes on; nothing wrong was seen in the end."""
    reader = Reader(out)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()
    assert reader.wrong == []
    assert {version: len(contents) for version, contents in reader.seen.items()} == dict.fromkeys(
        reader.seen, 1
    )


def manifests(out: Path) -> list[Manifest]:
    store = Store.open(out)
    return [read_manifest(store, version) for version in list_versions(store)]


def problems(out: Path) -> list[str]:
    """Return what `verify` finds in any version."""
    store = Store.open(out)
    return [line for number in list_versions(store) for line in verify_version(store, number)]
