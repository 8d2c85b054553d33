"""A lesson: what is known of a job when people teach it.

A sample of the corpus, the judgements among it, the votes of the functions that there are, and the
classifier that the judgements train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from labelmill.corpus import Corpus
from labelmill.errors import CorpusError, JobSpecError
from labelmill.gold import GoldTable, read_gold, with_balance
from labelmill.job import PreparedJob, prepare_job
from labelmill.jobspec import JobSpec
from labelmill.labeling import Matcher
from labelmill.outcomes import quarantined
from labelmill.records import ID
from labelmill.suggestion import did_you_mean
from labelmill.teach.classifier import TextClassifier
from labelmill.teach.features import Features, FeatureSpace, Floats, feature_space
from labelmill.teach.index import Index, index_texts
from labelmill.teach.tokens import Bools, Ints
from labelmill.teach.training import Trained, train_classifier
from labelmill.votes import VoteArrays
from labelmodel.patterns import PatternTable, count_patterns_with_inverse
from pipelines.corpus_plan import list_corpus_of, plan_corpus_of
from pipelines.lfs import concatenated
from pipelines.mine import SAMPLE
from pipelines.votedsample import vote_on_sample
from transforms.fitting import model_of

LEAST_TO_TRAIN = 20
"""Judged records, of two classes or more, from which a classifier is trained."""


@dataclass(frozen=True)
class Lesson:
    """What is known when people teach a job.

    Attributes:
        job: The job.
        prepared: Its functions.
        corpus: The corpus.
        field: Column that candidates are looked for in.
        records: A uniform sample of the corpus and all judged records.
        labels: Judged class of each record for the fit, int64, shape (n,), -1 for none.
        scoring: Class of each record that only scores, int64, shape (n,), -1 for none.
        votes: Votes of the job's functions.
        whole: Whether the sample is the whole corpus.
    """

    job: JobSpec
    prepared: PreparedJob
    corpus: Corpus
    field: str
    records: pa.Table
    labels: Ints
    scoring: Ints
    votes: VoteArrays
    whole: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes."""
        return self.prepared.table.class_names

    @property
    def judged(self) -> Ints:
        """Records judged for the fit."""
        return np.flatnonzero(self.labels >= 0)

    @property
    def covered(self) -> Bools:
        """Records that a function votes on."""
        return np.diff(self.votes.indptr) > 0

    @cached_property
    def ids(self) -> list[str]:
        """The records' ids."""
        names: list[str] = self.records.column(ID).to_pylist()
        return names

    @cached_property
    def texts(self) -> pa.Array:
        """The texts."""
        return self.records.column(self.field).combine_chunks()

    @cached_property
    def index(self) -> Index:
        """Which records have which candidates."""
        return index_texts(self.texts)

    @cached_property
    def space(self) -> FeatureSpace:
        """What turns candidates into features."""
        return feature_space(self.index)

    @cached_property
    def features(self) -> Features:
        """Features of the records."""
        return self.space.of(self.index.has)

    @property
    def may_train(self) -> bool:
        """Whether there is enough to train a classifier on."""
        judged = self.judged
        return len(judged) >= LEAST_TO_TRAIN and len(np.unique(self.labels[judged])) > 1

    @cached_property
    def trained(self) -> Trained:
        """The classifier, trained on all judgements."""
        return self.train(self.judged)

    def train(self, rows: Ints) -> Trained:
        """Train a classifier on some judged records."""
        return train_classifier(self.features.take(rows), self.labels[rows], len(self.classes))

    @cached_property
    def read(self) -> Floats:
        """The classifier's P(class), float64, shape (n, k)."""
        return self.trained.heads.probabilities(self.features)

    @property
    def classifier(self) -> TextClassifier:
        """The classifier with its vocabulary."""
        return TextClassifier(self.index.keys, self.space, self.trained.heads)

    def voted(self, votes: VoteArrays | None = None, labels: Ints | None = None) -> Floats:
        """Return the label model's P(class) of votes, by default those of the job's functions.

        Args:
            votes: Votes on the records; functions beyond the job's own follow these.
            labels: Judgements that inform the fit; all by default.
        """
        votes = self.votes if votes is None else votes
        labels = self.labels if labels is None else labels
        n_lfs = max(len(self.prepared.table.lfs), int(votes.lfs.max(initial=-1)) + 1)
        patterns, _ = self._patterns(votes, n_lfs, labels)
        model = model_of(self.job.model, self.prepared.table.grown(n_lfs)).fit(patterns)
        without, place = self._patterns(votes, n_lfs, np.full_like(labels, -1))
        result: Floats = model.predict_proba(without)[place]
        return result

    def _patterns(self, votes: VoteArrays, n_lfs: int, labels: Ints) -> tuple[PatternTable, Ints]:
        return count_patterns_with_inverse(
            votes.indptr,
            votes.lfs,
            votes.labels,
            n_lfs=n_lfs,
            n_classes=len(self.classes),
            gold=labels.astype(np.int16),
        )


def open_lesson(
    job: JobSpec, folder: Path, *, field: str | None = None, size: int = SAMPLE
) -> Lesson:
    """Prepare a job, draw the sample, and run the job's functions on it.

    Args:
        job: The validated job.
        folder: The job file's folder.
        field: Column that candidates are looked for in; found when not given.
        size: Records of the sample.

    Raises:
        LabelmillError: Whatever is wrong with the job, its functions, gold or corpus.
    """
    prepared = prepare_job(job, folder)
    listing = list_corpus_of(job)
    gold = gold_file_of(job)
    job = with_balance(job, gold)
    field = field or _usual_field(prepared)
    functions = prepared.function_set()
    corpus = plan_corpus_of(job, prepared, listing, [field])
    _check_field(field, corpus)
    sample = vote_on_sample(job, corpus, functions, gold, size=size)
    functions.close()
    votes = concatenated(sample.votes)
    votes = votes.without(quarantined(sample.outcomes, job.gates.max_fault_rate))
    return Lesson(
        job,
        prepared,
        corpus,
        field,
        sample.records,
        sample.fit,
        sample.scoring,
        votes,
        sample.whole,
    )


def gold_file_of(job: JobSpec) -> GoldTable | None:
    """Return the job's gold file; None where it has none, or none was written yet."""
    if job.gold is None or job.gold.uri is None:
        return None
    uri = job.gold.uri
    if job.gold.role is not None and "://" not in uri and not Path(uri).exists():
        return None
    return read_gold(job.gold, job.labels)


def _usual_field(prepared: PreparedJob) -> str:
    """Return the column that most keyword and regex functions look at, ``text`` without any."""
    fields = [lf.field for lf in prepared.functions() if isinstance(lf, Matcher)]
    return max(sorted(set(fields)), key=fields.count, default="text")


def _check_field(field: str, corpus: Corpus) -> None:
    kind = corpus.schema.field(field).type
    if kind != pa.string():
        raise CorpusError(
            f"column {field!r} is {kind}; functions are suggested from text, name a column of it "
            "with --field"
        )


def check_class(name: str, classes: Sequence[str]) -> int:
    """Return the index of a class.

    Raises:
        JobSpecError: There is no such class.
    """
    if name not in classes:
        hint = did_you_mean(name, classes, f"classes: {', '.join(classes)}")
        raise JobSpecError(f"--label {name}: no class of the job{hint}")
    return list(classes).index(name)
