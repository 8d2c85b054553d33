"""Assist: a classifier of texts beside the label model, trained in the job and kept with it.

On records with votes its opinion is multiplied with the label model's; records without votes get
the end model's (`labelmill.teach.endmodel`). What a label comes from is in its column ``source``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labelmill.dataset import SOURCE
from labelmill.errors import CorruptFileError
from labelmill.manifest import FileEntry
from labelmill.shardtask import ShardTask
from labelmill.store import Store, StoredFile
from labelmill.tablefile import input_digest
from labelmill.teach.classifier import TextClassifier
from labelmill.teach.endmodel import SHARPNESS, multiplied, train_end_model
from labelmill.teach.features import feature_space
from labelmill.teach.index import index_texts, index_with
from labelmill.teach.storing import from_bytes, to_bytes
from labelmill.teach.training import train_classifier
from labelmill.votes import gold_array, lf_table, unpack_votes
from labelmodel.patterns import count_patterns_with_inverse
from transforms.coders import RecordBatchCoder
from transforms.elements import AssistModel, FitResult
from transforms.fitting import read_fitted

ASSIST_VERSION = 1
"""Changes when the same inputs give another assist model or other labels."""

TEXT = "text"
"""Column with the texts in the batch that the model is trained on."""

VOTES, ASSISTED, MODEL = "votes", "assisted", "model"
SOURCES = (VOTES, ASSISTED, MODEL)

_ROWS = 4096
_UNIT = 2.0**-24
_LEAST = 1e-6


class TrainAssist(beam.PTransform):
    """Train the assist model on the stored sample, once the label model is fitted.

    Args:
        task: What all shards share, with `assist`.

    Returns:
        PCollection of one `AssistModel`.
    """

    def __init__(self, task: ShardTask) -> None:
        super().__init__()
        self._task = task

    def expand(self, fit: beam.PCollection[FitResult]) -> beam.PCollection[AssistModel]:
        """Return where the model is, and what is known of it."""
        return fit | "Train" >> beam.Map(_train, self._task).with_output_types(AssistModel)


def _train(fit: FitResult, task: ShardTask) -> AssistModel:
    """Return the stored assist model, training it when it is not there or broken."""
    assert task.assist is not None
    store = Store.open(task.output_uri)
    digest = input_digest([ASSIST_VERSION, task.assist, fit.parameters, list(fit.dropped)])
    path = f"models/assist-{digest}.npz"
    if task.reuse:
        try:
            data = store.get(path)
            return _described(path, data, from_bytes(data, path))
        except (FileNotFoundError, CorruptFileError):
            pass
    sample = RecordBatchCoder().decode(store.get(task.assist))
    classifier = train_assist(sample, fit)
    data = to_bytes(classifier)
    store.put(path, data)
    return _described(path, data, classifier)


def _described(path: str, data: bytes, classifier: TextClassifier) -> AssistModel:
    stored = StoredFile(path, len(data), hashlib.sha256(data).hexdigest())
    entry = FileEntry.of(stored, kind="assist", rows=0, shard=None)
    return AssistModel(entry, dict(classifier.about))


def train_assist(sample: pa.RecordBatch, fit: FitResult) -> TextClassifier:
    """Train classifier and end model.

    Args:
        sample: Votes on a sample of records, the judged ones among them, with their judged class
            in ``gold`` and their text in ``text``.
        fit: The label model.
    """
    table = lf_table(sample.schema)
    k = len(table.class_names)
    votes = unpack_votes(sample).without(fit.dropped)
    labels = gold_array(sample).astype(np.int64)
    index = index_texts(sample.column(TEXT))
    space = feature_space(index)
    features = space.of(index.has)
    judged = np.flatnonzero(labels >= 0)
    trained = train_classifier(features.take(judged), labels[judged], k)
    read = trained.heads.probabilities(features)
    patterns, inverse = count_patterns_with_inverse(
        votes.indptr, votes.lfs, votes.labels, n_lfs=len(table.lfs), n_classes=k
    )
    voted = read_fitted(fit.parameters, table).predict_proba(patterns)[inverse]
    covered = np.diff(votes.indptr) > 0
    end = train_end_model(features, labels, covered, voted, read)
    about = {
        "judged": len(judged),
        "accuracy": trained.accuracy,
        "log_loss": trained.log_loss,
    }
    return TextClassifier(index.keys, space, trained.heads, end, about)


class Assistant:
    """Turns labels by votes into assisted ones.

    Args:
        classifier: The classifier with its end model.
        class_names: The classes.
    """

    def __init__(self, classifier: TextClassifier, class_names: tuple[str, ...]) -> None:
        assert classifier.end is not None
        self._classifier = classifier
        self._end = classifier.end
        self._names = pa.array(class_names, pa.string())

    def assisted(
        self, labels: pa.RecordBatch, texts: pa.Array
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        """Return labels with the classifier's part in them, and where they come from.

        Args:
            labels: Labels by votes alone.
            texts: Texts of the same records, null where one cannot be read.

        Returns:
            Label batch with the column ``source``, and the class index of each, int64.
        """
        parts = [
            self._probabilities(labels.slice(n, _ROWS), texts.slice(n, _ROWS))
            for n in range(0, labels.num_rows, _ROWS)
        ]
        probs = np.concatenate([part[0] for part in parts])
        source = np.concatenate([part[1] for part in parts])
        published = probs.astype(np.float32)
        classes = probs.argmax(axis=1).astype(np.int64)
        untouched = source == SOURCES.index(VOTES)
        before = _indices(labels.column("label"), self._names)
        classes[untouched] = before[untouched]
        confidence = published[np.arange(len(classes)), classes]
        columns: dict[str, pa.Array] = {name: labels.column(name) for name in labels.schema.names}
        columns["label"] = self._names.take(pa.array(classes))
        columns["confidence"] = pa.array(confidence)
        columns["probs"] = pa.FixedSizeListArray.from_arrays(
            pa.array(published.ravel()), probs.shape[1]
        )
        columns[SOURCE] = pa.array(SOURCES, pa.string()).take(pa.array(source))
        fields = [*labels.schema, pa.field(SOURCE, pa.string())]
        arrays = [columns[field.name] for field in fields]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)), classes

    def _probabilities(
        self, labels: pa.RecordBatch, texts: pa.Array
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return P(class) and the place of the source in `SOURCES` of a few records."""
        k = len(self._names)
        probs = np.asarray(labels.column("probs").flatten(), dtype=np.float64).reshape(-1, k)
        covered = np.asarray(labels.column("covered"))
        has = index_with(texts, self._classifier.keys)
        features = self._classifier.space.of(has)
        known = np.diff(has.indptr) > 0
        both, alone = known & covered, known & ~covered
        read = self._classifier.heads.probabilities(features)
        probs[both] = multiplied(probs[both], read[both], SHARPNESS)
        probs[alone] = self._end.probabilities(features.shared)[alone]
        source = np.where(both, SOURCES.index(ASSISTED), SOURCES.index(VOTES))
        source[~covered] = SOURCES.index(MODEL)
        return probs, source


def _indices(labels: pa.Array, names: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.index_in(labels, value_set=names)).astype(np.int64)


def score_sources(labels: pa.RecordBatch, scoring: npt.NDArray[np.int16]) -> dict[str, list[int]]:
    """Return, by source, records with gold that scores, right ones, and log loss in units.

    Args:
        labels: Assisted labels.
        scoring: Gold that only scores, int16, shape (rows,), -1 where there is none.
    """
    source = np.asarray(labels.column(SOURCE).to_pylist(), dtype=object).astype(str)
    k = labels.schema.field("probs").type.list_size
    probs = np.asarray(labels.column("probs").flatten(), dtype=np.float64).reshape(-1, k)
    found = {}
    for name in SOURCES:
        rows = np.flatnonzero((source == name) & (scoring >= 0))
        if len(rows):
            gold = scoring[rows]
            right = int((probs[rows].argmax(axis=1) == gold).sum())
            losses = -np.log(np.maximum(probs[rows, gold], _LEAST))
            found[name] = [len(rows), right, int(np.rint(losses / _UNIT).astype(np.int64).sum())]
    return found


def assist_summary(model: AssistModel, scores: list[Mapping[str, list[int]]]) -> dict[str, Any]:
    """Return what a manifest says of the assist model: its training, and scores by source."""
    total: dict[str, list[int]] = {}
    for part in scores:
        for name, numbers in part.items():
            total[name] = [a + b for a, b in zip(total.get(name, [0] * 3), numbers, strict=True)]
    by_source = {
        name: {"records": n, "accuracy": right / n, "log_loss": loss * _UNIT / n}
        for name, (n, right, loss) in sorted(total.items())
    }
    return {**model.about, "scores": by_source}
