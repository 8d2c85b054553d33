"""The sample of a plan: it ends in a few seconds however slow the functions are."""

from __future__ import annotations

import io
import threading
import types
from dataclasses import replace

import pyarrow as pa
import pytest
from rich.console import Console

from labelmill.apply import Applied
from labelmill.outcomes import Outcomes
from labelmill.votes import LFInfo, LFTable
from pipelines import progress, sampling
from pipelines.sampling import FIRST_ROWS, SAMPLE_ROWS, SAMPLE_SECONDS, try_functions

RECORDS = pa.RecordBatch.from_pydict({"n": list(range(SAMPLE_ROWS))})


class TimedFunctions:
    """Stands for a set of one function that takes `seconds` a record, and `load` the first time."""

    table = LFTable((LFInfo("f", ""),), ("ham", "spam"))

    def __init__(self, monkeypatch, seconds, load=0.0):
        self.seconds, self.load, self.now = seconds, load, 0.0
        self.slices = []
        clock = types.SimpleNamespace(perf_counter=lambda: self.now)
        monkeypatch.setattr(sampling, "time", clock)

    def warm_up(self, running):
        pass

    def apply(self, batch, *, gold, ask, stops, running):
        took, self.load = batch.num_rows * self.seconds + self.load, 0.0
        self.now += took
        self.slices.append(batch.column("n").to_pylist())
        outcomes = replace(Outcomes.zero(1), rows=batch.num_rows, seconds=(took,))
        return Applied(None, outcomes, (), {"f": {"requests": batch.num_rows}})


def test_fast_functions_are_tried_on_the_whole_sample_in_growing_slices(monkeypatch):
    functions = TimedFunctions(monkeypatch, 1e-6)

    sample = try_functions(functions, RECORDS, None)

    assert sample.rows == SAMPLE_ROWS
    assert [len(rows) for rows in functions.slices] == [4, 16, 64, 256, 660]
    assert [n for rows in functions.slices for n in rows] == list(range(SAMPLE_ROWS))
    assert sample.estimates == {"f": {"requests": SAMPLE_ROWS}}


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.4])
def test_slow_functions_are_tried_on_the_records_that_fit_the_time(monkeypatch, seconds):
    functions = TimedFunctions(monkeypatch, seconds)

    sample = try_functions(functions, RECORDS, None)

    assert functions.now <= SAMPLE_SECONDS + 1e-6
    assert sample.rows == pytest.approx(SAMPLE_SECONDS / seconds, abs=2)
    assert sample.seconds == pytest.approx((seconds,))


def test_functions_slower_than_the_time_see_two_slices(monkeypatch):
    sample = try_functions(TimedFunctions(monkeypatch, 30.0), RECORDS, None)

    assert sample.rows == 2 * FIRST_ROWS


def test_what_a_function_loads_once_is_not_projected_on_every_record(monkeypatch):
    functions = TimedFunctions(monkeypatch, 0.001, load=60.0)

    sample = try_functions(functions, RECORDS, None)

    assert sample.rows == 2 * FIRST_ROWS
    assert sample.seconds == pytest.approx((0.001,))


def test_corpus_of_a_few_records_is_projected_from_the_only_slice(monkeypatch):
    sample = try_functions(TimedFunctions(monkeypatch, 0.5), RECORDS.slice(0, 2), None)

    assert (sample.rows, sample.seconds) == (2, (0.5,))


def test_long_work_is_named_on_a_terminal_and_short_work_is_not(monkeypatch):
    printed = threading.Event()

    class Screen(io.StringIO):
        def write(self, text):
            if "trying" in text:
                printed.set()
            return super().write(text)

    console = Console(file=Screen(), force_terminal=True)
    monkeypatch.setattr(progress, "NOTICE_SECONDS", 0.01)
    with progress.notice(console, "trying"):
        assert printed.wait(10)

    monkeypatch.setattr(progress, "NOTICE_SECONDS", 60)
    with progress.notice(console, "something short"):
        pass
    assert "something short" not in console.file.getvalue()
