"""`labelmill suggest`: functions that the corpus and the judgements speak for, and against."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labelmill.errors import JobSpecError
from labelmill.jobspec import JobSpec
from labelmill.judging.sheet import sheet_folder
from labelmill.teach.candidates import Candidate, find_candidates
from labelmill.teach.choosing import (
    LEAST_JUDGED,
    LEAST_PRECISION,
    OVERLAP_PENALTY,
    Choice,
    Scores,
    Sums,
    choose,
    same_records,
    score_candidates,
    sums_of,
)
from labelmill.teach.noted import Noted, read_struck, write_last
from labelmill.teach.tokens import Bools, Ints
from labelmill.teach.wording import entry_of, in_words, name_of
from labelmill.votes import VoteArrays
from pipelines.faulty import Faulty, find_faulty
from pipelines.lesson import Lesson, open_lesson
from pipelines.mine import sum_candidates

EXAMPLES = 2
_POOL_PRECISION = 0.45
"""Lower end of the precision on the sample from which the whole corpus is asked."""
_LEADS = 0.05
"""Accuracy by which the classifier alone is better where it carries the result."""


@dataclass(frozen=True)
class Suggestion:
    """A function that is suggested.

    Attributes:
        number: Its number.
        name: Its name.
        label: Class that it would vote for.
        shown: What it looks for, in words.
        low: Lower end of the 95 % interval of its precision.
        high: Upper end.
        hits: Records of the corpus that it would vote on.
        new: Of the sample, records that nothing covers before it.
        share_new: These as a share of the sample.
        judged: Judged records that it would vote on.
        right: Of these, records of its class.
        moved: Records of the sample whose label by the label model would be another one.
        examples: Ids and texts of some of its records.
        entry: Its entry of `lfs`.
    """

    number: int
    name: str
    label: str
    shown: str
    low: float
    high: float
    hits: int
    new: int
    share_new: float
    judged: int
    right: int
    moved: int
    examples: tuple[tuple[str, str], ...]
    entry: dict[str, Any]


@dataclass(frozen=True)
class Suggested:
    """What is suggested of a job.

    Attributes:
        judged: Judgements for the fit.
        rows: Records of the corpus.
        sampled: Records looked at.
        suggestions: Functions to add, best first.
        faulty: Functions of the job to look at.
        coverage: Share of the sample that is covered, now and with all suggestions.
        moved_by_all: Records of the sample whose label all suggestions together would change.
        classifier_accuracy: The classifier's, on judgements left out of its training.
        functions_precision: Mean of what the suggestions' precisions are thought to be.
        classifier_carries: Whether the classifier is that much better than the suggestions.
    """

    judged: int
    rows: int
    sampled: int
    suggestions: tuple[Suggestion, ...]
    faulty: tuple[Faulty, ...]
    coverage: tuple[float, float]
    moved_by_all: int
    classifier_accuracy: float
    functions_precision: float | None
    classifier_carries: bool

    def document(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return asdict(self)


@dataclass(frozen=True)
class Knobs:
    """How to choose: between coverage and accuracy."""

    most: int = 20
    least_precision: float = LEAST_PRECISION
    penalty: float = OVERLAP_PENALTY


def suggest(job: JobSpec, folder: Path, knobs: Knobs, *, field: str | None = None) -> Suggested:
    """Suggest functions for a job, and keep the suggestions beside it.

    Raises:
        JobSpecError: There are fewer than 100 judgements, or all are of one class.
        LabelmillError: Whatever else is wrong with the job, its functions, gold or corpus.
    """
    lesson = open_lesson(job, folder, field=field)
    judged = len(lesson.judged)
    if judged < LEAST_JUDGED or not lesson.may_train:
        raise JobSpecError(
            f"{judged} judged records for the fit, of at least {LEAST_JUDGED}: before that, "
            "functions add nothing to a classifier; `labelmill judge draw JOB` draws the next ones"
        )
    sums = sums_of(lesson.index.has, lesson.read, lesson.labels)
    scores = score_candidates(sums)
    if not lesson.whole:
        sums, scores = _over_the_corpus(lesson, scores)
    struck = _struck(lesson, scores, sheet_folder(folder, job.name), knobs)
    chosen = choose(
        lesson.index.has,
        scores,
        lesson.covered,
        most=knobs.most,
        least_precision=knobs.least_precision,
        penalty=knobs.penalty,
        struck=struck,
    )
    suggestions = _described(lesson, sums, scores, chosen)
    write_last(
        sheet_folder(folder, job.name),
        [Noted(one.number, one.shown, one.label, one.entry) for one in suggestions],
    )
    return _summary(lesson, sums, scores, chosen, suggestions)


def _over_the_corpus(lesson: Lesson, scores: Scores) -> tuple[Sums, Scores]:
    """Return sums and scores over all records, of the candidates that the sample speaks for."""
    pool = np.flatnonzero(scores.least >= _POOL_PRECISION)
    labels = {lesson.ids[row]: int(lesson.labels[row]) for row in lesson.judged.tolist()}
    found = sum_candidates(lesson.job, lesson.corpus, lesson.field, lesson.classifier, pool, labels)
    exact = score_candidates(found)
    n, k = len(scores.label), len(lesson.classes)
    every = Sums.zero(n, k)
    sums = Sums(every.frequency.copy(), every.judged.copy(), every.opinion.copy(), found.rows)
    sums.frequency[pool], sums.judged[pool] = found.frequency, found.judged
    sums.opinion[pool] = found.opinion
    label, least = scores.label.copy(), np.zeros(n)
    a, b = np.ones(n), np.ones(n)
    label[pool], least[pool], a[pool], b[pool] = exact.label, exact.least, exact.a, exact.b
    return sums, Scores(label, least, a, b)


def _struck(lesson: Lesson, scores: Scores, folder: Path, knobs: Knobs) -> Bools:
    """Return the candidates that people struck out before, and those that are another's like.

    Of candidates that the same records have, the simplest stays: `where` before `where in the
    title` in a corpus of single lines. What is struck out takes its like with it.
    """
    result = np.zeros(len(scores.label), dtype=bool)
    able = np.flatnonzero(scores.least >= knobs.least_precision)
    if not len(able):
        return result
    candidates = _candidates(lesson, able)
    groups = same_records(lesson.index.has[:, able])
    order = np.lexsort((np.array([int(one.kind) for one in candidates]), groups))
    simplest = order[np.unique(groups[order], return_index=True)[1]]
    result[able] = True
    result[able[simplest]] = False
    struck = read_struck(folder)
    for place, candidate, group in zip(able.tolist(), candidates, groups.tolist(), strict=True):
        if (in_words(candidate), lesson.classes[int(scores.label[place])]) in struck:
            result[able[groups == group]] = True
    return result


def _candidates(lesson: Lesson, places: Ints) -> list[Candidate]:
    keys = lesson.index.keys[places]
    texts = (lesson.texts.slice(n, 4096) for n in range(0, len(lesson.texts), 4096))
    found = find_candidates(texts, np.sort(keys))
    return [found[key] for key in keys.tolist()]


def _described(
    lesson: Lesson, sums: Sums, scores: Scores, chosen: list[Choice]
) -> tuple[Suggestion, ...]:
    taken = set(lesson.prepared.table.names)
    places = np.array([choice.candidate for choice in chosen], dtype=np.int64)
    columns = lesson.index.has[:, places].tocsc()
    before = lesson.voted().argmax(axis=1) if len(chosen) else np.empty(0)
    suggestions = []
    for n, (choice, candidate) in enumerate(zip(chosen, _candidates(lesson, places), strict=True)):
        label = int(scores.label[choice.candidate])
        rows = columns.indices[columns.indptr[n] : columns.indptr[n + 1]].astype(np.int64)
        name = name_of(candidate, lesson.classes[label], taken)
        taken.add(name)
        low, high = scores.interval(choice.candidate)
        counted = sums.judged[choice.candidate]
        suggestions.append(
            Suggestion(
                number=n + 1,
                name=name,
                label=lesson.classes[label],
                shown=in_words(candidate),
                low=low,
                high=high,
                hits=int(sums.frequency[choice.candidate]),
                new=choice.new,
                share_new=choice.new / len(lesson.labels),
                judged=int(counted.sum()),
                right=int(counted[label]),
                moved=_moved(lesson, before, [(rows, label)]),
                examples=_examples(lesson, rows),
                entry=entry_of(
                    candidate, name=name, label=lesson.classes[label], field=lesson.field
                ),
            )
        )
    return tuple(suggestions)


def _moved(lesson: Lesson, before: Any, added: list[tuple[Ints, int]]) -> int:
    """Return how many labels move when functions are added, records that none covered included."""
    votes = with_functions(lesson, added)
    after = lesson.voted(votes).argmax(axis=1)
    covered = np.diff(votes.indptr) > 0
    return int(np.count_nonzero(covered & ((after != before) | ~lesson.covered)))


def with_functions(lesson: Lesson, added: list[tuple[Ints, int]]) -> VoteArrays:
    """Return the votes of the job's functions and of functions given by records and class."""
    n_lfs, n = len(lesson.prepared.table.lfs), len(lesson.labels)
    old_rows = np.repeat(np.arange(n, dtype=np.int64), np.diff(lesson.votes.indptr))
    rows = np.concatenate([old_rows, *(rows for rows, _ in added)])
    lfs = np.concatenate(
        [lesson.votes.lfs, *(np.full(len(r), n_lfs + i) for i, (r, _) in enumerate(added))]
    )
    labels = np.concatenate([lesson.votes.labels, *(np.full(len(r), label) for r, label in added)])
    order = np.lexsort((lfs, rows))
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=n)))).astype(np.int64)
    return VoteArrays(indptr, lfs[order].astype(np.int32), labels[order].astype(np.int16))


def _examples(lesson: Lesson, rows: Ints) -> tuple[tuple[str, str], ...]:
    """Return the records that the classifier is least sure of: what to look at first."""
    top = lesson.read[rows].max(axis=1)
    chosen = rows[np.argsort(top, kind="stable")][:EXAMPLES]
    return tuple((lesson.ids[row], lesson.texts[row].as_py() or "") for row in chosen.tolist())


def _summary(
    lesson: Lesson,
    sums: Sums,
    scores: Scores,
    chosen: list[Choice],
    suggestions: tuple[Suggestion, ...],
) -> Suggested:
    added = []
    columns = lesson.index.has[:, [choice.candidate for choice in chosen]].tocsc()
    for n, choice in enumerate(chosen):
        rows = columns.indices[columns.indptr[n] : columns.indptr[n + 1]].astype(np.int64)
        added.append((rows, int(scores.label[choice.candidate])))
    covered = np.diff(with_functions(lesson, added).indptr) > 0
    before = lesson.voted().argmax(axis=1)
    places = [choice.candidate for choice in chosen]
    weights = np.array([choice.hits for choice in chosen], dtype=np.float64)
    means = scores.a[places] / (scores.a[places] + scores.b[places])
    precision = float((means * weights).sum() / weights.sum()) if chosen else None
    accuracy = lesson.trained.accuracy
    return Suggested(
        judged=len(lesson.judged),
        rows=sums.rows,
        sampled=len(lesson.labels),
        suggestions=suggestions,
        faulty=find_faulty(lesson),
        coverage=(float(lesson.covered.mean()), float(covered.mean())),
        moved_by_all=_moved(lesson, before, added) if added else 0,
        classifier_accuracy=accuracy,
        functions_precision=precision,
        classifier_carries=_classifier_carries(lesson, covered, precision),
    )


def _classifier_carries(lesson: Lesson, covered: Bools, precision: float | None) -> bool:
    """Tell whether the classifier is surer of the covered records than the functions are right."""
    if precision is None:
        return True
    return float(lesson.read[covered].max(axis=1).mean()) >= precision + _LEADS
