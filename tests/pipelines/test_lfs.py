"""`labelmill lfs`: what a person sees of functions on a sample, and while editing them."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from labelmill.apply import Fault
from labelmodel import from_dense
from pipelines.cli import _main as labelmill_command
from pipelines.lf_examples import EXCERPT, Excerpt, around
from pipelines.lf_pairs import find_pairs
from pipelines.screen_faults import frame_of
from pipelines.screen_lf_table import lf_table
from pipelines.screen_lfs import LFScreen
from pipelines.screen_text import printable
from pipelines.watch import _FilesRead

ROOT = Path(__file__).parents[2]
PATIENCE = 60


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command in this process; return exit code, stdout and stderr."""
    capfd.readouterr()
    code = labelmill_command(["lfs", *(str(a) for a in arguments)])
    out, err = capfd.readouterr()
    return code, out, err


def document(capfd, job: Path, *arguments: object) -> dict:
    code, out, err = call(capfd, job, "--json", *arguments)
    assert code == 0, err
    return json.loads(out)


def pairs_of(votes: np.ndarray, names: str = "abcdefgh", fingerprints=None):
    names = names[: votes.shape[1]]
    return find_pairs(from_dense(votes), list(names), fingerprints or [""] * len(names))


# Pairs


def test_near_duplicates_agree_on_nearly_the_same_records():
    votes = np.full((100, 3), -1, dtype=np.int16)
    votes[:50, 0] = 1
    votes[5:50, 1] = 1
    votes[50:, 2] = 0

    pairs = pairs_of(votes)

    (found,) = pairs.near_duplicates
    assert (found.first, found.second, found.together, found.agree) == ("a", "b", 45, 45)
    assert found.jaccard == pytest.approx(0.9)
    assert not pairs.conflicting


def test_functions_that_disagree_on_the_same_records_are_a_conflict_and_no_duplicate():
    votes = np.full((20, 2), -1, dtype=np.int16)
    votes[:10] = (0, 1)

    pairs = pairs_of(votes)

    assert not pairs.near_duplicates
    assert [(p.first, p.second, p.conflicts) for p in pairs.conflicting] == [("a", "b", 10)]


def test_function_inside_another_is_named_first():
    votes = np.full((100, 2), -1, dtype=np.int16)
    votes[:40, 0] = 1
    votes[:10, 1] = 1

    (found,) = pairs_of(votes).inside

    assert (found.first, found.second, found.together) == ("b", "a", 10)


def test_same_fingerprint_is_the_same_function_however_few_its_votes():
    votes = np.full((100, 2), -1, dtype=np.int16)
    votes[0] = 1

    (found,) = pairs_of(votes, fingerprints=["x", "x"]).near_duplicates

    assert found.same


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e18, 0]))
def test_counts_of_pairs_are_those_of_counting_record_by_record(seed, dense_from):
    rng = np.random.default_rng(seed)
    votes = rng.integers(-1, 3, size=(60, 5)).astype(np.int16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.lf_pairs._DENSE_WORK", dense_from)  # both ways to count
        pairs = pairs_of(votes)

    for name, partners in zip("abcde", pairs.partners, strict=True):
        i = "abcde".index(name)
        for pair in partners:
            j = "abcde".index(pair.second)
            both = (votes[:, i] >= 0) & (votes[:, j] >= 0)
            either = (votes[:, i] >= 0) | (votes[:, j] >= 0)
            assert pair.together == both.sum()
            assert pair.agree == (both & (votes[:, i] == votes[:, j])).sum()
            assert pair.jaccard == pytest.approx(both.sum() / either.sum())


# Examples


def test_examples_show_votes_conflicts_with_whom_and_records_nobody_covers(make_job, capfd):
    found = document(capfd, make_job())

    friendly = found["examples"]["friendly"]
    assert len(friendly["votes"]) == len(friendly["conflicts"]) == 3
    example = friendly["conflicts"][0]
    assert example["vote"] == "ham"
    assert {against["vote"] for against in example["against"]} == {"spam"}
    (value,) = example["values"]
    start, stop = value["match"]
    assert value["text"][start:stop] in ("lunch", "hello", "meeting")
    assert all(example["vote"] is None for example in found["uncovered"])


def test_examples_are_the_same_every_time_and_after_an_edit(make_job, capfd):
    job = make_job()
    before = document(capfd, job, "--function", "money")["examples"]["money"]
    with (job.parent / "lfs.py").open("a") as file:
        file.write("\n# a comment\n")

    assert document(capfd, job, "--function", "money")["examples"]["money"] == before


def test_gold_that_scores_is_not_shown_beside_records_and_gold_of_the_fit_is(make_job, capfd):
    job = make_job()

    scoring = document(capfd, job)["examples"]["short"]
    fitting = document(capfd, job, "--set", "gold.fit=1.0", "--examples", 50)["examples"]["short"]

    assert scoring["n_wrong"] == 0
    assert {e["gold"] for e in (*scoring["votes"], *scoring["conflicts"])} == {None}
    assert "spam" in {e["gold"] for e in fitting["wrong"]}


def test_gold_file_is_read_once(make_job, capfd, monkeypatch):
    job = make_job(gold={"column": "truth", "uri": "gold.csv", "id": "who"})
    (job.parent / "gold.csv").write_text("who,truth\nm00003,spam\n")
    reads = []
    import pipelines.lfs

    read = pipelines.lfs.read_gold
    monkeypatch.setattr(pipelines.lfs, "read_gold", lambda *a: reads.append(a) or read(*a))

    assert document(capfd, job)["gold"]["eval_records"] == 1
    assert len(reads) == 1


def test_one_function_in_depth(make_job, capfd):
    code, out, _ = call(capfd, make_job(), "--function", "money", "--examples", 2)

    assert code == 0
    assert "money votes for spam" in out
    assert ">>cash<<" in out
    assert "money votes with" in out
    assert "friendly votes for" not in out


def test_unknown_function_is_an_error_with_a_suggestion(make_job, capfd):
    code, _, err = call(capfd, make_job(), "--function", "mony")

    assert code == 2
    assert "did you mean 'money'?" in err


def test_faults_name_file_and_line_of_the_job(make_job, capfd):
    job = make_job()
    (job.parent / "helpers.py").write_text("def is_short(text):\n    return 1 / 0\n")

    _, out, _ = call(capfd, job)

    assert re.search(r"fault short at .*helpers\.py:2: ZeroDivisionError: division by zero", out)
    assert "in all 300" in out


def test_frame_is_the_last_one_in_the_jobs_own_code():
    traceback = (
        '  File "/job/lfs.py", line 12, in short\n    return helper(x)\n'
        '  File "/job/helpers.py", line 3, in helper\n    return json.loads(x)\n'
        '  File "/lib/json/decoder.py", line 99, in decode\n    raise x\n'
    )
    fault = Fault("short", "1", "fault", "ValueError", "no", traceback)

    assert frame_of(fault, ["/job/lfs.py", "/job/helpers.py"]) == "/job/helpers.py:3"
    assert frame_of(fault, []) == "/lib/json/decoder.py:99"
    assert frame_of(Fault("short", "1", "invalid", "int", "7"), []) == ""


def test_sample_is_spread_over_many_shards_and_reads_on_in_small_row_groups(make_job, capfd):
    job = make_job(input={"uri": "many/*.parquet", "id": "id"}, gold=None)
    (job.parent / "many").mkdir()
    for part in range(100):
        ids = [f"{part}-{n}" for n in range(10)]
        table = pa.table({"id": ids, "text": ["cash"] * 10})
        pq.write_table(table, job.parent / "many" / f"{part:03d}.parquet", row_group_size=2)

    found = document(capfd, job, "--rows", 320)

    assert (found["rows"], found["shards"], found["shards_of_corpus"]) == (320, 64, 100)


# Text of the corpus on the screen


def test_control_characters_and_markup_of_the_corpus_are_inert(make_job, capfd):
    job = make_job()
    evil = {
        "id": "\x1b[31mx",
        "text": "cash \x1b]0;title\x07 [red]red[/red] \u202eabc\n2",
        "gold": "ham",
    }
    (job.parent / "data" / "0.jsonl").write_text(json.dumps(evil) + "\n")

    _, out, _ = call(capfd, job, "--function", "money", "--examples", 300)

    assert not set(out) & {"\x1b", "\x07", "\u202e"}
    assert r"\x1b]0;title\x07 [red]red[/red] \u202eabc\n2" in out
    assert printable("a\nb[red]") == r"a\nb\[red]"


@given(st.text(), st.text(), st.text(), st.integers(1, 60))
def test_excerpt_fits_and_keeps_the_match_in_sight(before, match, after, width):
    cut = around(Excerpt("text", before, match, after), width)

    text = cut.before + cut.match + cut.after
    assert len(text) <= width
    if match:
        shown = cut.match.removesuffix("…") if cut.match != match else cut.match
        assert match.startswith(shown)
    if len(before + match + after) <= width:
        assert text == before + match + after


def test_long_text_is_cut_around_the_match(make_job, capfd):
    job = make_job()
    record = {"id": "long", "text": "x " * 5000 + "cash" + " y" * 5000, "gold": "spam"}
    (job.parent / "data" / "0.jsonl").write_text(json.dumps(record) + "\n")

    found = document(capfd, job, "--examples", 300)

    examples = [e for group in found["examples"]["money"].values() if isinstance(group, list)
                for e in group if e["id"] == "long"]  # fmt: skip
    (value,) = examples[0]["values"]
    start, stop = value["match"]
    assert value["text"][start:stop] == "cash"
    assert len(value["text"]) <= EXCERPT


# The table on a terminal


def terminal(width: int, height: int = 25) -> Console:
    return Console(
        file=StringIO(), force_terminal=True, width=width, height=height, color_system=None
    )


def row(name: str, **changes: object) -> dict:
    values = {
        "name": name, "classes": ["ham", "a long class name"], "votes": 12_345, "coverage": 0.5,
        "overlap": 0.25, "conflict": 0.125, "learned_accuracy": 0.9, "gold_votes": 5,
        "gold_accuracy": 0.8, "quarantined": False,
    }  # fmt: skip
    return {**values, **changes}


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("names", [["short", "money"], ["a_name_that_is_as_long_as_" * 3, "b"]])
def test_table_fits_the_terminal_and_keeps_names_and_votes(width, names):
    console = terminal(width)

    console.print(lf_table(console, [row(n) for n in names], {"faults": [0, 0], "invalid": [0, 0]}))

    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in console.file.getvalue()
    text = "".join(lines)
    assert "12,345" in text
    for name in names:
        folded = "".join(line.split()[0] for line in lines if line.strip())
        assert name in folded or name in text


def test_columns_of_failures_are_there_when_something_failed():
    quiet, failing = terminal(120), terminal(80)

    quiet.print(lf_table(quiet, [row("a")], {"faults": [0], "invalid": [0]}))
    failing.print(lf_table(failing, [row("a")], {"faults": [3], "invalid": [0]}))

    assert "faults" not in quiet.file.getvalue()
    assert "fault" in failing.file.getvalue()


def test_pipe_gets_every_column(make_job, capfd):
    _, out, _ = call(capfd, make_job())

    head = next(line for line in out.splitlines() if line.startswith("function"))
    assert [name.strip() for name in head.split("|")] == [
        "function", "votes for", "votes", "coverage", "overlap", "conflict", "learned", "on gold",
        "faults", "invalid", "p50 us", "p99 us", "total s",
    ]  # fmt: skip


def test_height_counts_lines_that_wrap_and_no_styles():
    screen = LFScreen(terminal(10))

    assert screen.height_of("123456789012345\n\n\x1b[31m1234567890\x1b[0m\n") == 4


# Watching


class Watched:
    """`labelmill lfs --watch` in a process, and what it prints, a line at a time."""

    def __init__(self, job: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "pipelines", "lfs", str(job), "--watch", *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        assert self.process.stdout is not None
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, stream) -> None:
        for line in stream:
            self._lines.put(line)

    def until(self, text: str) -> str:
        """Return the next line with `text` in it."""
        seen, ends = [], time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            try:
                line = self._lines.get(timeout=1)
            except queue.Empty:
                if self.process.poll() is not None:
                    break
                continue
            seen.append(line)
            if text in line:
                return line
        raise AssertionError(f"no {text!r} in: {''.join(seen)}")

    def document(self) -> dict:
        return json.loads(self.until("{"))

    def interrupt(self) -> tuple[int, str]:
        """Send what Ctrl-C sends; return the exit code and stderr."""
        os.killpg(self.process.pid, signal.SIGINT)
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err


def wait_for(path: Path) -> None:
    ends = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < ends, path
        time.sleep(0.02)


@pytest.fixture
def watch():
    started: list[Watched] = []

    def start(job: Path, *arguments: str) -> Watched:
        started.append(Watched(job, *arguments))
        return started[-1]

    yield start
    for watched in started:
        if watched.process.poll() is None:
            os.killpg(watched.process.pid, signal.SIGKILL)
            watched.process.wait()


def test_watch_shows_edits_survives_errors_and_ends_with_ctrl_c(make_job, watch):
    job = make_job()
    lfs = job.parent / "lfs.py"
    good = lfs.read_text()
    watched = watch(job)
    watched.until("money    |")

    lfs.write_text(good.replace('words=["cash", "prize"]', 'words=["cash"]'))
    assert "saved lfs.py" in watched.until("watching")
    assert re.search(r"\| +-\d+ \|", watched.until("money    |"))

    lfs.write_text(good + "def broken(:\n")
    assert f"lfs.py:{len(good.splitlines()) + 1}: " in watched.until("error: ")

    lfs.write_text(good)
    assert re.search(r"\| +\+\d+ \|", watched.until("money    |"))
    code, err = watched.interrupt()
    assert (code, err) == (0, "")


def test_watch_follows_modules_data_files_and_the_job_file(make_job, watch):
    job = make_job()
    lfs, words = job.parent / "lfs.py", job.parent / "words.txt"
    lfs.write_text(
        lfs.read_text()
        + "import pathlib\n"
        + "listed = keywords('listed', label='ham',\n"
        + "    words=pathlib.Path(__file__).with_name('words.txt').read_text().split())\n"
    )
    watched = watch(job, "--json")
    assert "words.txt" in watched.document()["error"]

    words.write_text("lunch")
    first = watched.document()
    assert (first["error"], first["saved"]) == (None, [str(words)])
    words.write_text("lunch hello")
    assert watched.document()["changes"]["listed"]["gained"] > 0

    helpers = job.parent / "helpers.py"
    helpers.write_text(helpers.read_text().replace("LIMIT = 8", "LIMIT = 5"))
    assert watched.document()["changes"]["short"]["lost"] > 0

    new = job.parent / "job.yaml.new"
    new.write_text(job.read_text().replace('"lfs.py"', '"nothing.py"'))
    new.rename(job)  # as editors save
    assert "nothing.py" in watched.document()["error"]
    assert watched.interrupt()[0] == 0


def test_only_files_of_the_job_are_watched(tmp_path):
    reading = _FilesRead("run.log")
    job = tmp_path / "job"
    for path in (
        "/etc/hosts",
        job / "words.txt",
        tmp_path / "data" / "1.jsonl",
        tmp_path / "cache",
    ):
        reading("open", (str(path), "r", 0))

    found = reading.files((f"{job}/", f"{tmp_path}/data/"))

    assert sorted(found) == [str(tmp_path / "data" / "1.jsonl"), str(job / "words.txt")]


def test_save_ends_a_run_that_would_not_end(make_job, watch):
    job = make_job()
    lfs = job.parent / "lfs.py"
    good = lfs.read_text()
    begun = job.parent / "begun"
    lfs.write_text(good + f"open({str(begun)!r}, 'w').close()\nwhile True: pass\n")
    watched = watch(job, "--json")
    wait_for(begun)

    lfs.write_text(good + "print('mended')\n")

    found = watched.document()
    assert found["error"] is None
    assert "mended" in found["printed"]
    assert watched.interrupt()[0] == 0


def test_stopping_it_with_sigterm_ends_the_run_under_way(make_job, watch):
    job = make_job()
    begun = job.parent / "begun"
    with (job.parent / "lfs.py").open("a") as file:
        file.write("import os, pathlib\n")
        file.write(f"pathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\n")
        file.write("while True: pass\n")
    watched = watch(job)
    wait_for(begun)

    watched.process.send_signal(signal.SIGTERM)

    watched.process.wait(PATIENCE)
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


def test_process_that_functions_end_is_an_error_and_not_the_end(make_job, watch):
    job = make_job()
    lfs = job.parent / "lfs.py"
    good = lfs.read_text()
    lfs.write_text(good + "import os; os._exit(3)\n")
    watched = watch(job, "--json")
    assert "exit code 3" in watched.document()["error"]

    lfs.write_text(good)

    assert watched.document()["error"] is None
    assert watched.interrupt()[0] == 0


def test_expressions_that_need_re_on_most_records_are_named_with_their_cost(make_job, capfd):
    odd = {"regex": {"name": "no_cash", "label": "ham", "pattern": "^(?!cash)"}}
    job = make_job(lfs=["lfs.py", odd])
    _, out, _ = call(capfd, job)
    (line,) = (line for line in out.splitlines() if line.startswith("searched with re"))
    assert re.search(r": no_cash \(100% of the records, \d+\.\d\d s\)$", line)
