"""The transforms as somebody else's pipeline would use them."""

from __future__ import annotations

import itertools
from collections import Counter

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill import ABSTAIN, keywords, labeling_function
from labelmill.apply import Outcomes
from labelmill.jobspec import ModelSpec
from labelmill.outcomes import quarantined
from labelmill.votes import LFInfo, LFTable, pack_votes
from labelmodel.errors import ParametersError
from transforms import ApplyLabelingFunctions, CountVotePatterns, FitLabelModel, PredictLabels
from transforms.fitting import fit_patterns, read_fitted
from transforms.patterns import (
    MergeBlocksFn,
    count_votes,
    from_block,
    gather,
    merge_blocks,
    split_block,
    to_block,
)

TABLE = LFTable(tuple(LFInfo(n, "") for n in "abc"), ("ham", "spam"))


def vote_batch(codes: np.ndarray, start: int = 0) -> pa.RecordBatch:
    ids = pa.array([f"r{start + n}" for n in range(codes.shape[1])], pa.string())
    return pack_votes(ids, codes.astype(np.int16), TABLE)


@st.composite
def vote_matrices(draw):
    rows = draw(st.integers(0, 40))
    cells = draw(st.lists(st.integers(-1, 1), min_size=3 * rows, max_size=3 * rows))
    return np.array(cells, dtype=np.int16).reshape(3, rows)


@given(codes=vote_matrices(), cuts=st.lists(st.integers(0, 40), max_size=4), nested=st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_split_order_or_nesting_of_pattern_blocks_merges_to_the_same_bytes(codes, cuts, nested):
    whole = to_block(count_votes(vote_batch(codes)), TABLE)
    edges = sorted({0, codes.shape[1], *(min(c, codes.shape[1]) for c in cuts)})
    parts = [
        to_block(count_votes(vote_batch(codes[:, a:b], a)), TABLE)
        for a, b in itertools.pairwise(edges)
    ] or [whole]
    parts.reverse()
    if nested and len(parts) > 2:
        parts = [merge_blocks(parts[:2]), merge_blocks(parts[2:])]

    merged = merge_blocks(parts)

    assert merged.equals(whole, check_metadata=True)
    rows = Counter(tuple(column) for column in codes.T.tolist())
    assert sorted(rows.values()) == sorted(merged.column("count").to_pylist())


@given(codes=vote_matrices())
@settings(deadline=None, max_examples=30)
def test_combiner_gives_the_same_however_it_is_driven(codes):
    combine = MergeBlocksFn()
    blocks = [
        to_block(count_votes(vote_batch(codes[:, n : n + 1], n)), TABLE)
        for n in range(codes.shape[1])
    ]
    if not blocks:
        return

    one = combine.create_accumulator()
    for block in blocks:
        one = combine.add_input(one, block)
    each = [combine.add_input(combine.create_accumulator(), block) for block in blocks]
    compacted = [combine.compact(a) for a in each]

    results = [
        combine.extract_output(accumulator)
        for accumulator in (one, combine.merge_accumulators(compacted))
    ]
    assert results[0].equals(results[1])


def test_buckets_of_a_block_are_disjoint_and_complete():
    rng = np.random.default_rng(0)
    block = to_block(count_votes(vote_batch(rng.integers(-1, 2, size=(3, 500)))), TABLE)

    parts = dict(split_block(block))

    assert len(parts) > 1
    assert merge_blocks(list(parts.values())).equals(block)
    assert sum(part.num_rows for part in parts.values()) == block.num_rows


def test_steps_work_alone_in_a_pipeline_of_somebody_else():
    @labeling_function()
    def shouting(x):
        return "spam" if x.text.isupper() else ABSTAIN

    lfs = [keywords("money", label="spam", words=["cash"]), shouting]
    lfs.append(keywords("friendly", label="ham", words=["hello", "hi"]))
    batch = pa.RecordBatch.from_pydict(
        {"key": ["a", "b", "c", "d"], "text": ["CASH", "hi you", "hello cash", "nothing"]}
    )
    with beam.Pipeline(runner="FnApiRunner") as p:
        applied = (
            p
            | beam.Create([batch.slice(0, 2), batch.slice(2)])
            | ApplyLabelingFunctions(lfs, ["ham", "spam"], id_column="key")
        )
        rows = applied["votes"] | beam.FlatMap(lambda b: b.to_pylist())
        expected = [("a", [0, 1], [1, 1]), ("b", [2], [0]), ("c", [0, 2], [1, 0]), ("d", [], [])]
        assert_that(
            rows | beam.Map(lambda r: (r["id"], r["lfs"], r["labels"])), equal_to(expected), "votes"
        )
        blocks = applied["votes"] | CountVotePatterns()
        counts = blocks | beam.FlatMap(lambda b: b.column("count").to_pylist())
        assert_that(counts, equal_to([1, 1, 1, 1]), "counts")


def test_faults_are_an_output_of_their_own():
    @labeling_function()
    def broken(x):
        raise KeyError(x.text)

    batch = pa.RecordBatch.from_pydict({"key": ["a"], "text": ["t"]})
    with beam.Pipeline(runner="FnApiRunner") as p:
        applied = (
            p
            | beam.Create([batch])
            | ApplyLabelingFunctions([broken], ["ham", "spam"], id_column="key")
        )
        rows = applied["faults"] | beam.FlatMap(
            lambda b: b.select(["lf", "id", "type"]).to_pylist()
        )
        assert_that(rows, equal_to([{"lf": "broken", "id": "a", "type": "KeyError"}]))


def test_labels_of_a_pipeline_equal_the_plain_functions():
    rng = np.random.default_rng(1)
    batches = [vote_batch(rng.integers(-1, 2, size=(3, 50)), n * 50) for n in range(4)]
    fit = fit_patterns(
        gather([to_block(count_votes(b), TABLE) for b in batches], TABLE), TABLE, ModelSpec()
    )
    expected = read_fitted(fit.parameters, TABLE).predict_proba(count_votes(batches[0])).shape[1]
    with beam.Pipeline(runner="FnApiRunner") as p:
        votes = p | beam.Create(batches)
        fitted = votes | CountVotePatterns() | FitLabelModel(TABLE)
        assert_that(fitted | beam.Map(lambda f: f.parameters), equal_to([fit.parameters]), "fit")
        labels = votes | PredictLabels(fitted)
        ids = labels | beam.FlatMap(lambda b: b.column("id").to_pylist())
        assert_that(ids, equal_to([f"r{n}" for n in range(200)]), "ids")
        widths = labels | beam.Map(lambda b: b.schema.field("probs").type.list_size)
        assert_that(widths, equal_to([expected] * 4), "widths")


@pytest.mark.parametrize("model", ["default", "majority_vote"])
def test_fit_of_no_records_answers_with_the_class_balance(model):
    fit = fit_patterns(gather([], TABLE), TABLE, ModelSpec(name=model))

    balance = fit.analysis["model"]["class_balance"]
    probs = read_fitted(fit.parameters, TABLE).predict_proba(
        count_votes(vote_batch(np.full((3, 1), -1)))
    )

    assert probs[0].tolist() == pytest.approx(balance)
    assert fit.analysis["totals"]["rows"] == 0


def test_model_of_other_functions_is_refused():
    fit = fit_patterns(gather([], TABLE), TABLE, ModelSpec())
    other = LFTable((LFInfo("z", ""), *TABLE.lfs[1:]), TABLE.class_names)

    with pytest.raises(ParametersError, match="fitted to functions"):
        read_fitted(fit.parameters, other)


def test_quarantined_functions_keep_their_row_in_the_table_but_lose_their_votes():
    codes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, -1]])
    patterns = from_block(to_block(count_votes(vote_batch(codes)), TABLE))

    fit = fit_patterns(patterns, TABLE, ModelSpec(), dropped=(1,))

    assert [lf["quarantined"] for lf in fit.analysis["lfs"]] == [False, True, False]
    assert fit.analysis["lfs"][1]["votes"] == 3
    assert fit.analysis["totals"]["conflict"] == 0


def test_quarantine_counts_faults_and_invalid_results_against_all_records():
    outcomes = Outcomes(100, (0, 0, 0), (10, 11, 6), (0, 0, 6), (0.0,) * 3, ({},) * 3)

    assert quarantined(outcomes, 0.10) == (1, 2)


def test_one_model_is_fitted_to_all_windows():
    rng = np.random.default_rng(2)
    batches = [vote_batch(rng.integers(-1, 2, size=(3, 20)), n * 20) for n in range(3)]
    with beam.Pipeline(runner="FnApiRunner") as p:
        votes = p | beam.Create(batches) | beam.WindowInto(beam.window.FixedWindows(10))
        fitted = votes | CountVotePatterns() | FitLabelModel(TABLE)
        assert_that(fitted | beam.Map(lambda f: f.analysis["totals"]["rows"]), equal_to([60]))


def test_exact_outcomes_of_functions_quarantine_those_that_fail():
    @labeling_function()
    def broken(x):
        raise KeyError(x.text)

    lfs = [keywords("money", label="spam", words=["cash"]), broken]
    batch = pa.RecordBatch.from_pydict({"key": ["a", "b"], "text": ["cash", "t"]})
    with beam.Pipeline(runner="FnApiRunner") as p:
        apply = ApplyLabelingFunctions(lfs, ["ham", "spam"], id_column="key")
        applied = p | beam.Create([batch]) | apply
        blocks = applied["votes"] | CountVotePatterns()
        fit = blocks | FitLabelModel(apply.table, outcomes=applied["outcomes"], max_fault_rate=0.5)
        assert_that(fit | beam.Map(lambda f: f.dropped), equal_to([(1,)]))
