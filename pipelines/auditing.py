"""`labelmill audit`: draw a fresh sample of a version, read the answers, show what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelmill.audits.answered import ADJUDICATOR, Answered, add_answers
from labelmill.audits.draws import (
    Draw,
    find_stored_sheet,
    list_draws,
    read_draw,
    store_draw,
    store_sheet,
)
from labelmill.audits.effort import Effort, effort
from labelmill.audits.results import (
    AuditResult,
    all_results,
    read_answered,
    store_result,
)
from labelmill.audits.sheets import AUDIT, make_sheet, read_values
from labelmill.errors import (
    CorpusError,
    CorpusReadError,
    CorruptFileError,
    JobSpecError,
    VersionNotFoundError,
)
from labelmill.jobfile import load_job
from labelmill.jobspec import JobSpec
from labelmill.judging.answers import Answers, read_answers
from labelmill.judging.forms import form_of
from labelmill.judging.ledger import Added, Judgement, add_judgements, read_ledger
from labelmill.judging.sheet import Sheet, sheet_folder
from labelmill.manifest import Manifest
from labelmill.store import Store
from labelmill.versions import read_manifest
from pipelines.audits.drawing import Request, draw_audit
from pipelines.audits.estimating import estimate
from pipelines.audits.truth import Truth
from pipelines.judging import ledger_of, with_ledger

ANSWERS_COLUMN = "what the auditors said"

_JOB_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Target:
    """A data set, and the job file that makes it where that was named.

    Attributes:
        store: The data set.
        job: The validated job; None where the data set was named by its URI.
        path: The job file; None without one.
        folder: Folder in which forms are written, beside the job or the working one.
    """

    store: Store
    job: JobSpec | None
    path: Path | None
    folder: Path

    @classmethod
    def of(cls, given: str) -> Target:
        """Tell a job file from the URI of a data set.

        Raises:
            JobSpecError: The job file is wrong.
        """
        if not given.endswith(_JOB_SUFFIXES):
            return cls(Store.open(given), None, None, Path())
        job, folder = load_job(Path(given), ())
        return cls(Store.open(job.output.uri), job, Path(given), folder)

    def ledger(self) -> list[Judgement] | None:
        """Return the job's judgements; None where it has no ledger or is not known."""
        if self.job is None or (self.job.gold is not None and self.job.gold.role is None):
            return None
        return read_ledger(ledger_of(self.job, self.folder))


@dataclass(frozen=True)
class Form:
    """The files of a sheet.

    Attributes:
        auditor: For whom it is; empty where nobody was named.
        records: Its records.
        form: The page.
        csv: The same for any tool.
    """

    auditor: str
    records: int
    form: Path
    csv: Path


@dataclass(frozen=True)
class Drawn:
    """A draw and its forms."""

    draw: Draw
    forms: tuple[Form, ...]


def draw(
    target: Target,
    request: Request,
    *,
    version: int | None = None,
    seeded: bool = True,
    out: Path | None = None,
) -> Drawn:
    """Draw an audit, store the draw with the data set, and write forms.

    Args:
        target: The data set.
        request: What is wanted.
        version: The version; by default the current one.
        seeded: Whether the request's seed was chosen; else every draw has another.
        out: Folder of the forms; by default that of the job's judgements.

    Raises:
        LabelmillError: Whatever is wrong with the request, the version or the corpus.
    """
    manifest = read_manifest(target.store, version)
    if not seeded:
        request = _with_seed(request, len(list_draws(target.store)))
    gold = [] if target.job is None or target.job.gold is None else [target.job.gold]
    made, sheets = draw_audit(target.store, manifest, request, gold)
    folder = out or sheet_folder(target.folder, manifest.name)
    store_draw(target.store, made, sheets)
    forms = [_write(sheet, folder, made, name) for name, sheet in sheets.items()]
    return Drawn(made, tuple(forms))


def _with_seed(request: Request, seed: int) -> Request:
    return Request(**{**vars(request), "seed": seed})


def _write(sheet: Sheet, folder: Path, drawn: Draw, name: str) -> Form:
    folder.mkdir(parents=True, exist_ok=True)
    who = "-".join(re.findall(r"\w+", name)).lower()
    base = f"audit-v{drawn.version}-{sheet.id}{f'-{who}' if who else ''}"
    form, table = folder / f"{base}.html", folder / f"{base}.csv"
    form.write_text(form_of(sheet), encoding="utf-8")
    table.write_text(sheet.to_csv(), encoding="utf-8", newline="")
    return Form(name, len(sheet.records), form, table)


@dataclass(frozen=True)
class ReadBack:
    """What came of reading answers.

    Attributes:
        result: What the audit found.
        stored: Whether it was stored; not where nothing was new.
        adjudicate: The form for disagreements; None without any.
        no_form: Why there is none although there are disagreements.
        role: What the judgements are used for as gold; None where they are not.
        ledger: The ledger that they were added to.
        added: What was added.
        section: The section that the job file got, if it had none.
    """

    result: AuditResult
    stored: bool
    adjudicate: Form | None = None
    no_form: str = ""
    role: str | None = None
    ledger: Path | None = None
    added: Added | None = None
    section: str | None = None


def read_back(
    target: Target,
    files: Sequence[Path],
    *,
    auditor: str = "",
    replaces: bool = False,
    role: str | None = None,
    out: Path | None = None,
) -> ReadBack:
    """Read answers to one draw, estimate from all of its answers, and store what was found.

    Args:
        target: The data set.
        files: Files of answers, of any of the draw's sheets.
        auditor: Who judged, where neither sheet nor file says.
        replaces: Whether classes told before are replaced.
        role: ``fit`` or ``eval``: what the judgements are used for as the job's gold.
        out: Folder of a form for disagreements; by default that of the job's judgements.

    Raises:
        JobSpecError: An answer does not fit its sheet or those before; nothing was stored.
    """
    if role is not None and target.path is None:
        raise JobSpecError("--as writes to the job's judgements: name the job file, not the URI")
    store = target.store
    every = [
        read_answers(path, lambda sheet: find_stored_sheet(store, sheet), judge="")
        for path in files
    ]
    drawn = read_draw(store, _draw_of(files, every))
    manifest = _manifest_of(store, drawn)
    before, stored = read_answered(store, drawn)
    answered = before
    for path, answers in zip(files, every, strict=True):
        answered = add_answers(answered, answers, str(path), auditor=auditor, replaces=replaces)
    result, truth = estimate(drawn, answered)
    ledger = added = section = None
    if role is not None:
        assert target.job is not None
        assert target.path is not None
        ledger = ledger_of(target.job, target.folder)
        judgements = _judgements(drawn, answered, truth, role)
        added = add_judgements(ledger, judgements, replace=replaces)
        section = "gold" if target.job.gold is None else None
        with_ledger(target.job, target.path, target.folder)
    is_new = answered != before or not stored
    if is_new:
        store_result(store, drawn, result, answered, stored)
    folder = out or sheet_folder(target.folder, drawn.job)
    form, why = _adjudication(store, manifest, drawn, truth, folder)
    return ReadBack(result, is_new, form, why, role, ledger, added, section)


def _draw_of(files: Sequence[Path], every: Sequence[Answers]) -> str:
    """Return the draw that all answers are to."""
    draws: dict[str, Path] = {}
    sheets: dict[str, Path] = {}
    for path, answers in zip(files, every, strict=True):
        if answers.sheet.id in sheets:
            raise JobSpecError(
                f"{sheets[answers.sheet.id]} and {path} both answer sheet {answers.sheet.id}; "
                "read the one that counts"
            )
        sheets[answers.sheet.id] = path
        draws.setdefault(str(answers.sheet.about.get("draw")), path)
    if len(draws) > 1:
        first, second = list(draws.values())[:2]
        raise JobSpecError(f"{first} and {second} answer different draws; read one draw at a time")
    return next(iter(draws))


def _manifest_of(store: Store, drawn: Draw) -> Manifest | None:
    """Return the version that was drawn from; None where it was deleted."""
    try:
        manifest = read_manifest(store, drawn.version)
    except VersionNotFoundError:
        return None
    if manifest.digest != drawn.version_digest:
        raise CorruptFileError(
            f"version {drawn.version} of {store.uri} is not the one that draw {drawn.id} is of; "
            "the data set was replaced. Draw again."
        )
    return manifest


def _judgements(drawn: Draw, answered: Answered, truth: Truth, role: str) -> list[Judgement]:
    """Return a judgement of each record that people agree on, or that was adjudicated."""
    rows = [row for row in range(len(drawn.records)) if truth.settled[row] >= 0]
    minutes = answered.total_minutes
    each = None if minutes is None or not rows else round(minutes / len(rows), 4)
    found = []
    for row in rows:
        record = drawn.records[row]
        who = [name for name in truth.auditors if record.id in answered.labels[name]]
        label = drawn.classes[int(truth.settled[row])]
        judge = ", ".join(who)
        found.append(Judgement(record.id, label, role, AUDIT, judge, each, drawn.id))
    return found


def _adjudication(
    store: Store, manifest: Manifest | None, drawn: Draw, truth: Truth, folder: Path
) -> tuple[Form | None, str]:
    """Write a form of the records that auditors disagree on, or say why there is none."""
    if not len(truth.disputed):
        return None, ""
    if manifest is None:
        return None, f"version {drawn.version} was deleted"
    records = [drawn.records[row] for row in truth.disputed.tolist()]
    try:
        values = read_values(store, manifest, drawn, [record.id for record in records])
    except (CorpusError, CorpusReadError) as error:
        return None, str(error)
    for row, record in zip(truth.disputed.tolist(), records, strict=True):
        said = sorted({drawn.classes[label] for label in truth.votes[row].tolist() if label >= 0})
        values[record.id] = {**values[record.id], ANSWERS_COLUMN: ", ".join(said)}
    about = {"draw": drawn.id, ADJUDICATOR: True, "version": drawn.version}
    sheet = make_sheet(drawn, records, values, about)
    store_sheet(store, drawn, sheet)
    return _write(sheet, folder, drawn, "adjudicate"), ""


@dataclass(frozen=True)
class Shown:
    """What is known of the quality of a version from people.

    Attributes:
        version: The version.
        audits: Its audits, the one that counts last.
        waiting: Ids of draws of it without an answer yet.
        effort: What people spent on the data set.
    """

    version: int
    audits: tuple[AuditResult, ...]
    waiting: tuple[str, ...]
    effort: Effort


def show(target: Target, version: int | None = None) -> Shown:
    """Return what audits of a version found, and what people spent.

    Raises:
        VersionNotFoundError: There is no such version.
    """
    manifest = read_manifest(target.store, version)
    found = tuple(result for result, _ in all_results(target.store, manifest.version))
    answered = {result.draw for result in found}
    draws = list_draws(target.store, manifest.version)
    waiting = tuple(one for one in draws if one not in answered)
    spent = effort(target.store, manifest, target.ledger())
    return Shown(manifest.version, found, waiting, spent)
