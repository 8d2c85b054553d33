"""`labelmill judge`: the records that are worth judging next, and the answers back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from labelmill.columns import columns_used
from labelmill.combining import with_parts
from labelmill.errors import JobSpecError
from labelmill.gold import RANDOM
from labelmill.hashing import text_hashes
from labelmill.jobedit import add_section, write_job
from labelmill.jobspec import GoldSpec, JobSpec
from labelmill.judging.answers import read_answers
from labelmill.judging.forms import form_of
from labelmill.judging.ledger import (
    FILE,
    Added,
    add_judgements,
    judgements_of,
    read_ledger,
)
from labelmill.judging.sheet import (
    Sheet,
    SheetFiles,
    SheetRecord,
    find_sheet,
    sheet_folder,
    write_sheet,
)
from labelmill.records import ID
from labelmill.teach.drawing import POOL, draw_uncertain
from labelmill.teach.features import Floats
from labelmill.teach.tokens import Ints
from pipelines.judgingeffect import Effect, effect_of
from pipelines.lesson import Lesson, open_lesson
from pipelines.lf_examples import shown_columns

UNCERTAIN = "uncertain"
FIRST_RANDOM = 50
"""Judgements that are random before uncertain records are drawn."""

_SEED = 41


@dataclass(frozen=True)
class Drawn:
    """Records drawn to be judged.

    Attributes:
        sheet: The sheet.
        files: Where it is.
        judged: Judgements for the fit so far.
        why: How the records were chosen, in a phrase.
    """

    sheet: Sheet
    files: SheetFiles
    judged: int
    why: str


def draw(
    job: JobSpec,
    folder: Path,
    n: int,
    *,
    at_random: bool = False,
    columns: Sequence[str] = (),
    field: str | None = None,
) -> Drawn:
    """Draw the next records to judge, and write them as a form and as CSV.

    Args:
        job: The validated job.
        folder: The job file's folder.
        n: Records to draw.
        at_random: Whether records are random although a classifier could be trained.
        columns: Columns that a judge sees; those that functions read by default.
        field: Column of text that the classifier reads.

    Raises:
        LabelmillError: Whatever is wrong with the job, its functions, gold or corpus.
    """
    lesson = open_lesson(job, folder, field=field)
    judged = len(lesson.judged)
    chosen, how, why = _chosen(lesson, n, at_random)
    if not len(chosen):
        raise JobSpecError(f"all {len(lesson.labels):,} records that were sampled are judged")
    shown = list(columns) or _columns(lesson)
    missing = [name for name in shown if name not in lesson.records.column_names]
    if missing:
        raise JobSpecError(
            f"--column {missing[0]}: the job does not read it; it reads "
            f"{', '.join(c for c in lesson.records.column_names if c != ID)}; "
            "input.columns adds others"
        )
    predicted = _predicted(lesson)
    rows = lesson.records.take(pa.array(chosen)).select(shown).to_pylist()
    records = [
        SheetRecord(
            lesson.ids[row],
            how,
            {name: None if value is None else str(value) for name, value in values.items()},
            None if predicted is None else lesson.classes[int(predicted[row].argmax())],
            None if predicted is None else float(predicted[row].max()),
        )
        for row, values in zip(chosen.tolist(), rows, strict=True)
    ]
    sheet = Sheet("judge", job.name, lesson.classes, tuple(records), {"judged_before": judged})
    files = write_sheet(sheet, form_of(sheet), sheet_folder(folder, job.name))
    return Drawn(sheet, files, judged, why)


def _chosen(lesson: Lesson, n: int, at_random: bool) -> tuple[Ints, str, str]:
    """Return rows, how they were chosen, and why so."""
    free = np.flatnonzero((lesson.labels < 0) & (lesson.scoring < 0))
    judged = len(lesson.judged)
    # Another order every round, the same one when the command is repeated.
    ids = pa.array([lesson.ids[row] for row in free.tolist()], pa.string())
    free = free[np.argsort(text_hashes(ids, seed=_SEED + judged), kind="stable")]
    if at_random:
        return free[:n], RANDOM, "random, as asked for"
    if judged < FIRST_RANDOM or not lesson.may_train:
        why = f"random: the first {FIRST_RANDOM} are, and there are {judged} judgements"
        return free[:n], RANDOM, why
    pool = free[:POOL]
    features = lesson.features.take(pool)
    probs = lesson.trained.heads.probabilities(features)
    rows = draw_uncertain(probs, features.shared, pool, n, judged=judged)
    return rows, UNCERTAIN, "those that a classifier is least sure of, unlike each other"


def _predicted(lesson: Lesson) -> Floats | None:
    if lesson.may_train:
        return lesson.read
    return lesson.voted() if lesson.covered.any() else None


def _columns(lesson: Lesson) -> list[str]:
    """Return the columns that functions read, the one that is mined among them."""
    functions = lesson.prepared.functions()
    used = {name for lf in with_parts(functions) for name in columns_used(lf).columns}
    names = [name for name in lesson.records.column_names if name != ID]
    shown = [name for name in shown_columns(functions, names) if name in used]
    return list(dict.fromkeys([lesson.field, *shown]))


@dataclass(frozen=True)
class Read:
    """What came of reading answers.

    Attributes:
        path: The ledger.
        added: What was added to it.
        unsure: Records that the judge could not tell.
        missing: Records of the sheet without an answer.
        judged: Judgements for the fit in the ledger now.
        minutes: Minutes in the ledger, where somebody told.
        section: The `gold` section that was added to the job file, if it had none.
        effect: What the judgements bought; None where that cannot be told.
    """

    path: Path
    added: Added
    unsure: int
    missing: int
    judged: int
    minutes: float | None
    section: str | None
    effect: Effect | None


def section_of(job: JobSpec, folder: Path) -> dict[str, str]:
    """Return the `gold` section of a job file that reads the ledger beside it."""
    path = (sheet_folder(folder, job.name) / FILE).relative_to(folder).as_posix()
    return {"uri": path, "column": "label", "role": "role"}


def with_ledger(job: JobSpec, job_path: Path, folder: Path) -> JobSpec:
    """Return the job with gold from the ledger; a job file without gold gets the section."""
    if job.gold is not None:
        return job
    section = section_of(job, folder)
    write_job(job_path, add_section(job_path.read_text(encoding="utf-8"), "gold", section))
    gold = GoldSpec(**{**section, "uri": str(ledger_of(job, folder))})
    return job.model_copy(update={"gold": gold})


def read_back(
    job: JobSpec,
    job_path: Path,
    folder: Path,
    files: Sequence[Path],
    *,
    judge: str = "",
    replace: bool = False,
) -> Read:
    """Read answers, check them, and add them to the job's gold.

    Args:
        job: The validated job.
        job_path: The job file, to which a `gold` section is added when it has none.
        folder: Its folder.
        files: Files of answers.
        judge: Who judged, where a file does not say.
        replace: Whether classes judged before are replaced.

    Raises:
        JobSpecError: An answer does not fit its sheet or earlier judgements; nothing was added.
    """
    ledger = ledger_of(job, folder)
    find = partial(find_sheet, folder=sheet_folder(folder, job.name))
    every = [read_answers(path, find, judge=judge) for path in files]
    for path, answers in zip(files, every, strict=True):
        if answers.sheet.purpose != "judge":
            raise JobSpecError(
                f"{path}: answers to an audit, which never inform the fit; "
                "`labelmill audit read` takes them"
            )
        if answers.sheet.classes != tuple(job.labels):
            raise JobSpecError(f"{path}: its sheet has other classes than the job has now")
    for one in read_ledger(ledger):
        if one.label not in job.labels:
            raise JobSpecError(
                f"{ledger}: record {one.id!r} is {one.label!r}, which is no class of this job"
            )
    judgements = [one for answers in every for one in judgements_of(answers, "fit")]
    added = add_judgements(ledger, judgements, replace=replace)
    section = "gold" if job.gold is None else None
    job = with_ledger(job, job_path, folder)
    told = [one.minutes for one in read_ledger(ledger) if one.minutes is not None]
    fit = [one for one in read_ledger(ledger) if one.role == "fit"]
    return Read(
        ledger,
        added,
        sum(len(answers.unsure) for answers in every),
        sum(answers.missing for answers in every),
        len(fit),
        sum(told) if told else None,
        section,
        effect_of(open_lesson(job, folder), fit, {one.id for one in judgements}),
    )


def ledger_of(job: JobSpec, folder: Path) -> Path:
    """Return the path of the ledger that a job's gold reads.

    Raises:
        JobSpecError: The job's gold is something else.
    """
    if job.gold is None:
        return sheet_folder(folder, job.name) / FILE
    uri, role = job.gold.uri, job.gold.role
    if uri is None or role is None or "://" in uri or not uri.endswith(".jsonl"):
        raise JobSpecError(
            "the job's gold is no file of judgements; set gold: {uri: judgements.jsonl, column: "
            "label, role: role}, and put gold that you have into that file, with role eval or fit"
        )
    return Path(uri)
