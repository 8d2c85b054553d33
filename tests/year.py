"""A year in a minute: a corpus and a job that change day by day, on any store."""

from __future__ import annotations

import json
import random
from pathlib import Path

from labelmill.store import Store
from labelmill.versions import read_manifest, verify_version
from pipelines.cli import _main as labelmill_command

WORDS = ["cash", "prize", "lunch", "meeting", "hello", "win", "free", "gold", "call", "today"]

PYTHON = """
from labelmill import all_of, labeling_function

LEAST = {least}


@labeling_function()
def long(x):
    return {label!r} if len(x.text) > LEAST else None


@labeling_function()
def fragile(x):
    return 1 if 10 / (len(x.text) % {divisor}) > 3 else None


pair = all_of("pair", label={label!r}, of=["fragile", "words_0"])
"""


class Year:
    """A job whose corpus, functions and classes change at random.

    Args:
        folder: Where the job file is.
        seed: Seed of all that changes.
        uri: Where corpus and data sets are, a path or URL.
    """

    def __init__(self, folder: Path, seed: int, uri: str) -> None:
        self.folder, self.uri = folder, uri
        self.data = Store.open(f"{uri}/data")
        self.written: dict[str, bytes] = {}
        self.random = random.Random(seed)
        self.next_id = 0
        self.files: dict[str, list[dict[str, object]]] = {}
        self.keywords: dict[str, list[str]] = {"words_0": ["cash"], "words_1": ["lunch", "hello"]}
        self.least, self.divisor, self.classes = 20, 7, ["ham", "spam"]
        for _ in range(3):
            self.new_file()

    def record(self) -> dict[str, object]:
        self.next_id += 1
        words = self.random.choices(WORDS, k=self.random.randint(1, 6))
        gold = self.random.choice([None, 0, 1])
        return {"id": f"m{self.next_id}", "text": " ".join(words), "gold": gold}

    def new_file(self) -> None:
        rows = [self.record() for _ in range(self.random.randint(5, 30))]
        self.files[f"day-{self.next_id:05d}.jsonl"] = rows

    def grow(self) -> None:
        self.some_file().append(self.record())

    def edit(self) -> None:
        self.some_file()[0]["text"] = " ".join(self.random.choices(WORDS, k=3))

    def drop_file(self) -> None:
        if len(self.files) > 2:
            del self.files[self.random.choice(sorted(self.files))]

    def some_file(self) -> list[dict[str, object]]:
        return self.files[self.random.choice(sorted(self.files))]

    def edit_keywords(self) -> None:
        name = self.random.choice(sorted(self.keywords))
        self.keywords[name] = self.random.sample(WORDS, 2)

    def new_keywords(self) -> None:
        self.keywords[f"words_{self.next_id}"] = [self.random.choice(WORDS)]

    def drop_keywords(self) -> None:
        names = sorted(set(self.keywords) - {"words_0"})
        if len(names) > 1:
            del self.keywords[self.random.choice(names)]

    def edit_python(self) -> None:
        self.least, self.divisor = self.random.randint(10, 30), self.random.randint(2, 9)

    def rename_class(self) -> None:
        self.classes = [self.classes[0], f"spam{self.next_id}"]

    def pass_day(self) -> None:
        changes = [self.new_file, self.grow, self.edit, self.drop_file, self.edit_keywords]
        changes += [self.new_keywords, self.drop_keywords, self.edit_python]
        for change in self.random.sample(changes, self.random.randint(1, 2)):
            change()
        if self.random.random() < 0.08:
            self.rename_class()

    def write(self) -> Path:
        wanted = {
            name: "".join(json.dumps(row) + "\n" for row in rows).encode()
            for name, rows in self.files.items()
        }
        for name in set(self.written) - set(wanted):
            self.data.delete(name)
        for name, data in wanted.items():
            if self.written.get(name) != data:
                self.data.put(name, data)
        self.written = wanted
        source = PYTHON.format(least=self.least, divisor=self.divisor, label=self.classes[0])
        (self.folder / "lfs.py").write_text(source)
        lfs: list[object] = ["lfs.py"]
        for n, (name, words) in enumerate(self.keywords.items()):
            label = self.classes[n % 2]
            lfs.append({"keywords": {"name": name, "label": label, "words": words}})
        job = {
            "name": "year",
            "input": {"uri": f"{self.uri}/data/*.jsonl", "id": "id"},
            "labels": self.classes,
            "lfs": lfs,
            "gold": {"column": "gold", "fit": 0.2},
            "output": {"uri": f"{self.uri}/out"},
            "gates": {"max_fault_rate": 0.3},
        }
        path = self.folder / "job.yaml"
        path.write_text(json.dumps(job))
        return path


ACCEPT = [
    f"--accept={gate}"
    for gate in (
        "row_loss",
        "coverage_loss",
        "label_shift",
        "vote_shift",
        "gold_loss",
        "model_fallback",
    )
]


def content(manifest):
    """Return what a manifest says beside who made it, on which version."""
    document = json.loads(manifest.to_bytes())
    for name in ("version", "parent", "parent_digest", "run", "digest", "gates"):
        del document[name]
    return document


def check_days(folder: Path, days: int, seed: int, uri: str | None = None) -> None:
    """Refresh a data set day after day; each version equals a full run from nothing."""
    year = Year(folder, seed, uri or str(folder))
    for day in range(days):
        job = year.write()
        assert labelmill_command(["run", str(job), *ACCEPT]) == 0
        fresh = f"{year.uri}/fresh-{day}"
        options = ["--full", "--set", f"output.uri={fresh}"]
        assert labelmill_command(["run", str(job), *options, *ACCEPT]) == 0
        kept, full = (read_manifest(Store.open(place)) for place in (f"{year.uri}/out", fresh))
        assert content(kept) == content(full), f"day {day}"
        year.pass_day()
    assert verify_version(Store.open(f"{year.uri}/out")) == []
