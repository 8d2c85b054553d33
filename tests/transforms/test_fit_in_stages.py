"""A fit whose patterns stay where they are: the same bits as one that gathers them."""

from __future__ import annotations

from typing import Any, get_args

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from labelmill.apply import Outcomes
from labelmill.errors import JobSpecError
from labelmill.jobspec import GoldSpec, ModelName, ModelSpec
from labelmill.votes import LFInfo, LFTable, pack_votes
from labelmodel.models import MODELS
from transforms import CountVotePatterns, FitLabelModel
from transforms.fitting import fit_patterns, model_of
from transforms.patterns import count_votes, gather, to_block

CLASSES = ("ham", "spam", "eggs")
GOLD = GoldSpec(column="gold", fit=0.5)
SOURCES = {"lf": 6, "crowd": 14, "mixed": 20}


def table_of(n_lfs: int, classes: tuple[str, ...] = CLASSES) -> LFTable:
    return LFTable(tuple(LFInfo(f"lf{n}", "") for n in range(n_lfs)), classes)


def votes_of(
    kind: str, n_batches: int = 3, classes: tuple[str, ...] = CLASSES
) -> list[pa.RecordBatch]:
    """Return vote batches with gold: functions of one class each, annotators of all, or both."""
    rng = np.random.default_rng(3)
    n_lfs, rows = SOURCES[kind], 80
    batches = []
    for batch in range(n_batches):
        truth = rng.integers(0, len(classes), size=rows)
        right = rng.random((n_lfs, rows)) < 0.7
        said = np.where(right, truth, rng.integers(0, len(classes), size=(n_lfs, rows)))
        choosing = said == np.arange(n_lfs)[:, None] % 3
        asked = rng.random((n_lfs, rows)) < 0.5
        functions = {"lf": n_lfs, "crowd": 0, "mixed": 6}[kind]
        said = np.where(np.where(np.arange(n_lfs)[:, None] < functions, choosing, asked), said, -1)
        gold = pa.array(truth, pa.int16(), mask=rng.random(rows) < 0.6)
        ids = pa.array([f"r{batch}-{n}" for n in range(rows)])
        batches.append(pack_votes(ids, said.astype(np.int16), table_of(n_lfs, classes), gold))
    return batches


def of_every_model() -> list[dict[str, Any]]:
    """Return each model in a few rounds, by annotators that answer often."""
    rounds = {"options": {"max_iter": 4}}
    return [
        {"name": name} | (rounds if "max_iter" in model.parameter_defaults() else {})
        for name, model in MODELS.items()
    ]


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        *(("crowd", model) for model in of_every_model()),
        ("lf", {}),
        ("lf", {"name": "dawid_skene", "options": {"max_iter": 4}}),
        ("mixed", {}),
        *((kind, {"class_balance": {"ham": 0.5, "spam": 0.5}}) for kind in SOURCES),
        *((kind, {"accuracy": {"lf0": 0.9, "lf3": 0.4}}) for kind in SOURCES),
    ],
    ids=str,
)
def test_stages_give_the_bits_of_a_gathered_fit(kind, model):
    classes = CLASSES[:2] if model.get("name") == "triplets" else CLASSES
    batches = votes_of(kind, classes=classes)
    table = table_of(SOURCES[kind], classes)
    outcomes = Outcomes.zero(len(table.lfs))
    outcomes = Outcomes(
        240, outcomes.votes, (0, 200, *outcomes.faults[2:]), outcomes.invalid,
        outcomes.seconds, outcomes.times,
    )  # fmt: skip
    blocks = [to_block(count_votes(batch, GOLD), table) for batch in batches]
    expected = fit_patterns(gather(blocks, table), table, ModelSpec(**model), (1,))

    with beam.Pipeline(runner="FnApiRunner") as p:
        fitted = (
            p
            | beam.Create(batches)
            | CountVotePatterns(GOLD)
            | FitLabelModel(
                table,
                ModelSpec(gather_patterns=0, **model),
                outcomes=p | "Outcomes" >> beam.Create([outcomes]),
                max_fault_rate=0.5,
            )
        )
        assert_that(fitted | beam.Map(lambda fit: fit.to_dict()), equal_to([expected.to_dict()]))


@pytest.mark.parametrize("name", MODELS)
def test_graph_of_many_stages_and_functions_stays_small(name):
    classes = CLASSES[:2] if name == "triplets" else CLASSES
    n_lfs = 200 if name in ("triplets", "snorkel") else 5000
    table = LFTable(tuple(LFInfo(f"function{n}", "0" * 16) for n in range(n_lfs)), classes)
    model = ModelSpec(name=name)
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    blocks = (
        pipeline | beam.Create([0]) | beam.FlatMap(lambda _: []).with_output_types(pa.RecordBatch)
    )
    _ = blocks | FitLabelModel(table, model)

    assert len(pipeline.to_runner_api().SerializeToString()) < 5_000_000


def test_model_of_more_stages_than_a_graph_holds_is_refused():
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    blocks = (
        pipeline | beam.Create([0]) | beam.FlatMap(lambda _: []).with_output_types(pa.RecordBatch)
    )
    model = ModelSpec(name="dawid_skene", options={"max_iter": 1000})
    with pytest.raises(JobSpecError, match=r"lower model\.options\.max_iter"):
        _ = blocks | FitLabelModel(table_of(2), model)


def test_graph_has_no_stages_where_patterns_are_sure_to_be_few():
    def steps(records: int | None) -> int:
        pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
        blocks = (
            pipeline
            | beam.Create([0])
            | beam.FlatMap(lambda _: []).with_output_types(pa.RecordBatch)
        )
        _ = blocks | FitLabelModel(table_of(2), records=records)
        names = pipeline.to_runner_api().components.transforms.values()
        return sum("MStep" in transform.unique_name for transform in names)

    assert steps(1_000_000) == 0
    assert steps(2_000_000) > 5
    assert steps(None) > 5


def test_job_files_name_every_model():
    assert set(get_args(ModelName)) == set(MODELS)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "dawid_skene", "options": {"max_iters": 3}}, r"did you mean 'max_iter'\?"),
        ({"name": "dawid_skene", "options": {"abstain": "maybe"}}, "maybe"),
        ({"name": "ibcc", "options": {"prior_right": "high"}}, "model: "),
        ({"class_balance": {"hamm": 1}}, r"'hamm' is no class; did you mean 'ham'\?"),
        ({"class_balance": {"ham": 0.0}}, "class_balance"),
        ({"accuracy": {"lf_0": 0.9}}, r"'lf_0' is no function; did you mean 'lf0'\?"),
        ({"name": "ibcc", "accuracy": {"lf0": 0.9}}, "ibcc takes no accuracy .*default"),
    ],
)
def test_model_that_cannot_be_is_refused_by_name(model, message):
    with pytest.raises(JobSpecError, match=message):
        model_of(ModelSpec(**model), table_of(2))
