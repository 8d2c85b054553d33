"""Functions in a process of their own: what hangs, crashes or ends the process costs its record."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from labelmill.errors import LabelingFunctionError
from labelmill.guard import MAX_STOPS, Stops
from labelmill.job import prepare_job
from labelmill.jobfile import load_job
from labelmill.records import ID

HEAD = "import ctypes, os, re, sys, time\nfrom labelmill import labeling_function, regex\n"
ROWS = 200


def functions_of(tmp_path: Path, source: str, limit: float = 1.0, lfs: str = "[lfs.py]"):
    """Return the function set of a job with these functions, as a worker has it."""
    (tmp_path / "lfs.py").write_text(HEAD + source)
    job = tmp_path / "job.yaml"
    job.write_text(
        f"name: n\ninput: {{uri: x.csv}}\nlabels: [ham, spam]\nlfs: {lfs}\n"
        f"output: {{uri: out}}\nlimits: {{timeout: {limit}}}\n"
    )
    return prepare_job(*load_job(job)).function_set()


def batch_of(rows: int = ROWS, **columns):
    ids = [f"r{n}" for n in range(rows)]
    texts = [f"text {n}" for n in range(rows)]
    return pa.RecordBatch.from_pydict({ID: ids, "n": list(range(rows)), "text": texts, **columns})


@pytest.fixture
def apply(tmp_path):
    """Apply functions to a batch in their own process, which is ended afterwards."""
    started = []

    def run(source: str, batch: pa.RecordBatch | None = None, **options):
        functions = functions_of(tmp_path, source, **options)
        started.append(functions)
        return functions.apply(batch_of() if batch is None else batch)

    yield run
    for functions in started:
        functions.close()


MAPS = """
class Maps:
    def __call__(self, x): return self.one(x)
    def one(self, x):
        {one}
        return x
    def map_batch(self, xs): return [self.one(x) for x in xs]

@labeling_function(pre=[Maps()])
def f(x): return 0
"""

ONE_BAD_RECORD = {
    "loops in Python": (
        "@labeling_function(timeout=.3)\ndef f(x):\n    while x.n == 50: pass\n    return 0\n",
        "TimeLimitExceeded",
        "did not return within 0.3 s",
        "in f",
    ),
    "backtracks for ever": (
        "@labeling_function(timeout=.3)\ndef f(x):\n"
        "    if x.n == 50: re.search('(a+)+$', 'a' * 40 + 'b')\n    return 0\n",
        "TimeLimitExceeded",
        "did not return within 0.3 s",
        "in f",
    ),
    "sleeps beyond its timeout": (
        "@labeling_function(timeout=.2)\ndef f(x):\n"
        "    if x.n == 50: time.sleep(.25)\n    return 0\n",
        "TimeLimitExceeded",
        "its timeout is 0.2 s",
        "",
    ),
    "hangs without a timeout of its own": (
        "@labeling_function()\ndef f(x):\n    if x.n == 50: time.sleep(999)\n    return 0\n",
        "TimeLimitExceeded",
        "did not return within 1 s",
        "in f",
    ),
    "crashes": (
        "@labeling_function()\ndef f(x):\n    if x.n == 50: ctypes.string_at(0)\n    return 0\n",
        "ProcessDied",
        "signal SIGSEGV",
        "in f",
    ),
    "leaves the process": (
        "@labeling_function()\ndef f(x):\n    if x.n == 50: os._exit(3)\n    return 0\n",
        "ProcessDied",
        "exit code 3",
        "",
    ),
    "calls sys.exit": (
        "@labeling_function()\ndef f(x):\n    if x.n == 50: sys.exit(3)\n    return 0\n",
        "SystemExit",
        "3",
        "in f",
    ),
    "recurses for ever": (
        "@labeling_function()\ndef f(x):\n    return f(x) if x.n == 50 else 0\n",
        "RecursionError",
        "maximum recursion depth exceeded",
        "in f",
    ),
    "hangs in a preprocessor": (
        "def p(x):\n    if x.n == 50: time.sleep(999)\n    return x\n"
        "@labeling_function(pre=[p])\ndef f(x):\n    return 0\n",
        "TimeLimitExceeded",
        "did not return within 1 s",
        "in p",
    ),
    "crashes in a preprocessor": (
        "def p(x):\n    if x.n == 50: ctypes.string_at(0)\n    return x\n"
        "@labeling_function(pre=[p])\ndef f(x):\n    return 0\n",
        "ProcessDied",
        "signal SIGSEGV",
        "in p",
    ),
    "backtracks for ever in a preprocessor": (
        "def p(x):\n    if x.n == 50: re.search('(a+)+$', 'a' * 40 + 'b')\n    return x\n"
        "@labeling_function(pre=[p], timeout=.3)\ndef f(x):\n    return 0\n",
        "TimeLimitExceeded",
        "a preprocessor did not return within 1 s",
        "in p",
    ),
    "raises what Ctrl-C would": (
        "@labeling_function()\ndef f(x):\n"
        "    if x.n == 50: raise KeyboardInterrupt('mine')\n    return 0\n",
        "KeyboardInterrupt",
        "mine",
        "in f",
    ),
    "forks a process that lasts, then crashes": (
        "@labeling_function()\ndef f(x):\n    if x.n == 50:\n"
        "        if os.fork() == 0: time.sleep(999)\n        ctypes.string_at(0)\n    return 0\n",
        "ProcessDied",
        "signal SIGSEGV",
        "in f",
    ),
    "says why before it leaves": (
        "@labeling_function()\ndef f(x):\n    if x.n == 50:\n"
        "        print('out of luck', flush=True)\n        os._exit(3)\n    return 0\n",
        "ProcessDied",
        "exit code 3 (last said: out of luck)",
        "",
    ),
    "hangs in a preprocessor of many records": (
        MAPS.format(one="if x.n == 50: time.sleep(999)"),
        "TimeLimitExceeded",
        "a preprocessor did not return within 1 s",
        "in one",
    ),
    "crashes in a preprocessor of many records": (
        MAPS.format(one="if x.n == 50: ctypes.string_at(0)"),
        "ProcessDied",
        "signal SIGSEGV",
        "in one",
    ),
    "hangs while its error is described": (
        "class Odd(Exception):\n    def __str__(self): time.sleep(999)\n"
        "@labeling_function()\ndef f(x):\n    if x.n == 50: raise Odd\n    return 0\n",
        "TimeLimitExceeded",
        "did not return within 1 s",
        "in __str__",
    ),
    "closes files that are not its own": (
        "@labeling_function()\ndef f(x):\n    if x.n == 50: os.closerange(3, 100)\n    return 0\n",
        "ProcessDied",
        "the process that ran it ended",
        "",
    ),
    "a batch function hangs": (
        "@labeling_function(batch=True, timeout=.3)\ndef f(b):\n"
        "    if 50 in b['n'].to_pylist(): time.sleep(999)\n    return [0] * b.num_rows\n",
        "TimeLimitExceeded",
        "did not return within 0.3 s",
        "in f",
    ),
}


@pytest.mark.parametrize("case", ONE_BAD_RECORD)
def test_what_a_function_does_on_one_record_costs_that_record(apply, case):
    source, kind, message, frame = ONE_BAD_RECORD[case]
    applied = apply(source)
    outcomes = applied.outcomes
    assert (outcomes.votes, outcomes.faults, outcomes.invalid) == ((ROWS - 1,), (1,), (0,))
    (fault,) = applied.faults
    assert (fault.id, fault.lf, fault.outcome, fault.type) == ("r50", "f", "fault", kind)
    assert message in fault.message
    assert frame in fault.traceback
    assert applied.votes.column("lfs")[50].as_py() == []


def test_function_that_never_returns_is_stopped_and_the_others_go_on(apply):
    applied = apply(
        "@labeling_function(timeout=.1)\ndef never(x): time.sleep(999)\n"
        "@labeling_function()\ndef fine(x): return 1\n"
    )
    assert applied.outcomes.votes == (0, ROWS)
    assert applied.outcomes.faults == (ROWS, 0)
    kinds = [fault.type for fault in applied.faults]
    assert kinds[:MAX_STOPS] == ["TimeLimitExceeded"] * MAX_STOPS
    assert set(kinds[MAX_STOPS:]) == {"FunctionStopped"}
    assert "r0 (TimeLimitExceeded" in applied.faults[-1].message


def test_stopped_function_is_not_tried_on_later_batches_of_the_shard(tmp_path):
    functions = functions_of(
        tmp_path, "@labeling_function(timeout=.1)\ndef never(x): time.sleep(999)\n"
    )
    stops = Stops()
    functions.apply(batch_of(10), stops=stops)
    started = time.monotonic()
    later = functions.apply(batch_of(1000), stops=stops)
    assert later.outcomes.faults == (1000,)
    assert {fault.type for fault in later.faults} == {"FunctionStopped"}
    assert time.monotonic() - started < 60  # else it would be hundreds of seconds
    functions.close()


def test_records_that_it_returned_from_keep_their_votes_when_it_is_stopped(apply):
    applied = apply(
        "@labeling_function()\ndef f(x):\n"
        "    if x.n in (10, 100, 180, 190): os._exit(1)\n    return 0\n"
    )
    faults = {int(fault.id[1:]): fault.type for fault in applied.faults}
    assert [n for n, kind in faults.items() if kind == "ProcessDied"] == [10, 100, 180]
    assert applied.outcomes.votes == (178,)  # all before the third; those after are not tried


def test_slow_preprocessor_of_many_records_is_no_hang(apply):
    applied = apply(MAPS.format(one="time.sleep(.01)"), limit=0.6)
    assert applied.outcomes.votes == (ROWS,)


def test_shared_preprocessor_that_crashes_costs_its_record_once(apply, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    applied = apply(
        "def p(x):\n    if x.n == 50:\n        open('seen', 'a').write('x')\n"
        "        ctypes.string_at(0)\n    return x\n"
        + "".join(f"@labeling_function(pre=[p])\ndef f{n}(x): return {n % 2}\n" for n in range(4))
    )
    assert applied.outcomes.faults == (1,) * 4
    assert {(fault.lf, fault.id) for fault in applied.faults} == {
        (f"f{n}", "r50") for n in range(4)
    }
    assert (tmp_path / "seen").read_text() == "xx"  # found, and made sure of: by the first function


def test_own_time_limit_does_not_count_preprocessors_whatever_the_order(apply):
    slow = (
        "def p(x):\n    if x.n == 50: time.sleep(.5)\n    return x\n"
        "@labeling_function(pre=[p], timeout=.2)\ndef f(x): return 0\n"
    )
    assert apply(slow, limit=5).outcomes.votes == (ROWS,)


def test_modules_that_hang_while_they_load_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("labelmill.watchdog.LOAD_SECONDS", 1.0)
    monkeypatch.setattr("labelmill.guardprocess.GRACE_SECONDS", 0.5)
    monkeypatch.setenv("LM_TEST_HERE", str(os.getpid()))
    functions = functions_of(
        tmp_path,
        "if str(os.getpid()) != os.environ['LM_TEST_HERE']: time.sleep(999)\n"
        "@labeling_function()\ndef f(x): return 0\n",
    )
    for _ in range(2):
        with pytest.raises(LabelingFunctionError, match="loading the functions took more than"):
            functions.apply(batch_of(2))


def test_votes_of_a_shard_do_not_depend_on_what_the_process_saw_before(apply, tmp_path):
    source = (
        "@labeling_function(timeout=.1)\ndef f(x):\n"
        "    if x.n in (3, 4, 5): time.sleep(999)\n    return 0\n"
    )
    functions = functions_of(tmp_path, source)
    first = functions.apply(batch_of(10))
    again = functions.apply(batch_of(10))
    assert first.votes == again.votes
    assert first.faults == again.faults
    functions.close()


def test_loading_is_no_time_spent_on_a_record(apply, tmp_path):
    (tmp_path / "list.txt").write_text("a b")
    applied = apply(
        "from labelmill import resource, model_function\n"
        "def slow(content):\n    time.sleep(1)\n    return content\n"
        "words = resource('list.txt', slow)\n"
        "@labeling_function(timeout=.3, resources={'words': words})\n"
        "def f(x, words): return 0\n"
        "def make():\n    time.sleep(1)\n    return lambda rows: [0] * len(rows)\n"
        "m = model_function('m', load=make, classes=[0, 1], returns='labels')\n",
        limit=0.3,
    )
    assert applied.outcomes.faults == (0, 0)
    assert applied.outcomes.votes == (ROWS, ROWS)


def test_what_crashes_while_it_loads_is_an_error_that_says_so(apply, tmp_path):
    (tmp_path / "list.txt").write_text("a b")
    with pytest.raises(
        LabelingFunctionError, match=r"'f': what it needs could not be loaded.*SEGV"
    ):
        apply(
            "from labelmill import resource\n"
            "words = resource('list.txt', lambda content: ctypes.string_at(0))\n"
            "@labeling_function(resources={'words': words})\ndef f(x, words): return 0\n"
        )


def test_stopped_process_is_given_up_and_a_child_that_comes_back_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("labelmill.guardprocess.GRACE_SECONDS", 0.5)
    functions = functions_of(
        tmp_path,
        "@labeling_function(timeout=.3)\ndef f(x):\n"
        "    if x.n == 2: os.kill(os.getpid(), 19)\n"
        "    if x.n == 4: os.fork()\n"
        "    return 0\n",
    )
    applied = functions.apply(batch_of(10))
    (fault,) = applied.faults
    assert (fault.id, fault.type) == ("r2", "ProcessDied")
    functions.close()


def test_close_ends_a_batch_that_another_thread_applies(tmp_path):
    functions = functions_of(tmp_path, "@labeling_function()\ndef f(x): time.sleep(999)\n", 60)
    with ThreadPoolExecutor(1) as pool:
        applying = pool.submit(functions.apply, batch_of(10))
        time.sleep(1)
        functions.close()
        with pytest.raises(LabelingFunctionError, match="was ended"):
            applying.result(timeout=20)


@pytest.mark.parametrize("accent", ["", "é"])
def test_regex_that_would_backtrack_for_ever_is_stopped_or_decided(apply, accent):
    evil = [f"{accent}{'a' * 40}b" if n in (7, 8) else "aaa" for n in range(ROWS)]
    applied = apply(
        r"r = regex('r', label=1, pattern='(?P<x>a+)+(?<!é)$', field='evil')",
        batch_of(evil=evil),
    )
    assert applied.outcomes.votes[0] == ROWS - 2
    assert applied.outcomes.faults[0] <= 2
    assert {fault.id for fault in applied.faults} <= {"r7", "r8"}


def test_votes_are_those_of_functions_in_this_process(apply, tmp_path):
    source = (
        "def p(x):\n    x.low = x.text.upper()\n    return x\n"
        "@labeling_function()\ndef a(x): return x.n % 2 if x.n % 3 else None\n"
        "@labeling_function(pre=[p])\ndef b(x): return 'spam' if x.low.endswith('7') else -1\n"
        "@labeling_function(batch=True)\ndef c(b): return [n % 5 - 1 for n in b['n'].to_pylist()]\n"
        "@labeling_function()\ndef d(x): return x.text\n"
        "r = regex('r', label=1, pattern='[3-5]$')\n"
    )
    guarded = apply(source)
    free = apply(source, limit=0)
    assert guarded.votes == free.votes
    assert guarded.faults == free.faults
    assert guarded.outcomes.without_measurements() == free.outcomes.without_measurements()
    assert guarded.outcomes.seconds_at(0, 0.5) > 0


def test_what_functions_print_is_kept_apart(tmp_path, capfd):
    functions = functions_of(
        tmp_path, "@labeling_function()\ndef f(x):\n    print('seen', x.n)\n    return 0\n"
    )
    functions.apply(batch_of(2))
    assert functions.printed() == "seen 0\nseen 1\n"
    assert functions.printed() == ""
    functions.close()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_functions_that_only_load_here_are_an_error_that_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("LM_TEST_HERE", str(os.getpid()))
    functions = functions_of(
        tmp_path,
        "if str(os.getpid()) != os.environ['LM_TEST_HERE']: raise OSError('only here')\n"
        "@labeling_function()\ndef f(x): return 0\n",
    )
    with pytest.raises(LabelingFunctionError, match="only here"):
        functions.apply(batch_of(2))


HANGS = {
    "idle": "pass",
    "asleep": "time.sleep(999)",
    "in C": "re.search('(a+)+$', 'a' * 40 + 'b')",
}


@pytest.mark.parametrize("hanging", HANGS)
def test_process_ends_when_its_parent_is_killed(tmp_path, hanging):
    (tmp_path / "lfs.py").write_text(
        HEAD + "@labeling_function()\ndef f(x):\n    open('pid', 'w').write(str(os.getpid()))\n"
        f"    {HANGS[hanging]}\n    return 0\n"
    )
    job = "name: n\ninput: {uri: x}\nlabels: [a, b]\nlfs: [lfs.py]\noutput: {uri: out}\n"
    (tmp_path / "job.yaml").write_text(job)
    program = (
        "import pyarrow as pa, time\nfrom labelmill.job import prepare_job\n"
        "from labelmill.jobfile import load_job\n"
        "functions = prepare_job(*load_job('job.yaml')).function_set()\n"
        "functions.apply(pa.RecordBatch.from_pydict({'__id__': ['a']}))\ntime.sleep(999)\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}
    )
    try:
        child = int(_awaited(tmp_path / "pid"))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 20
    while _lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _awaited(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return path.read_text()


def _lives(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
