"""What a report says of a version, as plain values; how they are shown is in `page`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Measured = Literal["audit", "gold", "expected"]


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval, all of them 0 to 1.

    Attributes:
        value: The share.
        low: Its lower end; None where there is no interval.
        high: Its upper end; None where there is no interval.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Accuracy:
    """How right the labels are, and how that is known.

    Attributes:
        share: Share of labels that are right.
        source: ``audit`` and ``gold`` are measured, ``expected`` is what the label model expects.
        records: Records that it was measured on.
        scope: Which labels it is of, such as ``labels of records with votes``.
        notes: What a reader has to know to trust it, as sentences.
    """

    share: Interval
    source: Measured
    records: int
    scope: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A later run that published nothing.

    Attributes:
        run_id: The run.
        status: ``refused``, ``failed`` or ``conflict``.
        message: Why.
    """

    run_id: str
    status: str
    message: str


@dataclass(frozen=True)
class Gate:
    """A gate and what it saw: value and limit are in the gate's own unit."""

    name: str
    value: float
    limit: float
    passed: bool
    accepted: bool
    message: str


@dataclass(frozen=True)
class ClassRow:
    """A class: labels of covered records, now and before, and the share that the model expects.

    Attributes:
        name: The class.
        labels: Covered records with this label.
        share: Their share of the covered records.
        labels_before: The same in the version before; None without one or without the class.
        share_before: The same.
        balance: The class balance of the label model.
        precision: Measured by an audit; None without one.
        recall: Measured by an audit; None without one.
    """

    name: str
    labels: int
    share: float
    labels_before: int | None
    share_before: float | None
    balance: float
    precision: Interval | None = None
    recall: Interval | None = None


@dataclass(frozen=True)
class SliceRow:
    """A slice of the corpus.

    Attributes:
        name: The slice.
        records: Records in it.
        share: Their share of all records.
        coverage: Share of them with a vote; None without records.
        coverage_before: The same in the version before; None where it is new, edited or empty.
        classes: Its commonest classes, with their shares of its covered records.
        label_shift: Jensen-Shannon divergence of its labels from those of the version before, in
            bits; None where these cannot be compared.
        gold: Share of its labels that are right on gold that scores; None without such gold.
        judged: Records with such gold.
    """

    name: str
    records: int
    share: float
    coverage: float | None
    coverage_before: float | None
    classes: tuple[tuple[str, float], ...]
    label_shift: float | None
    gold: Interval | None
    judged: int


@dataclass(frozen=True)
class FunctionRow:
    """A row of the LF table.

    Attributes:
        name: The function.
        kind: What kind it is.
        classes: Classes that it votes for.
        votes: Records that it votes on.
        votes_before: The same in the version before; None without one, or where it is new.
        change: ``new``, ``edited`` or empty.
        coverage: Share of all records.
        overlap: Share of all records on which another function votes too.
        conflict: Share of all records on which another function votes otherwise.
        learned: Accuracy as the label model sees it; None where it does not say.
        gold: Accuracy on gold; None without votes on gold.
        faults: Records on which it raised.
        invalid: Records on which it returned no class.
        median: Seconds for a record, the median; None where it was not measured.
        seconds: Seconds in all.
        used: Whether its votes are used.
        fingerprint: Of its definition.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    votes: int
    votes_before: int | None
    change: str
    coverage: float
    overlap: float
    conflict: float
    learned: Interval | None
    gold: Interval | None
    faults: int
    invalid: int
    median: float | None
    seconds: float | None
    used: bool
    fingerprint: str


@dataclass(frozen=True)
class PairCounts:
    """Records on which pairs of functions both vote.

    Attributes:
        names: The functions, n of them.
        together: n by n: records with both votes; on the diagonal those of one function.
        conflicts: n by n: of these, records with unlike votes.
        shards: Shards that were counted,
        of_shards: of so many.
    """

    names: tuple[str, ...]
    together: tuple[tuple[int, ...], ...]
    conflicts: tuple[tuple[int, ...], ...]
    shards: int
    of_shards: int


@dataclass(frozen=True)
class Reliability:
    """Gold records of about one confidence: mean confidence, share right, how many."""

    confidence: float
    right: Interval
    records: int


@dataclass(frozen=True)
class Histogram:
    """Covered records by confidence; bins are equally wide from 0 to 1.

    Attributes:
        counts: Records of each bin.
        mean: Mean confidence.
        shards: Shards that were counted,
        of_shards: of so many.
    """

    counts: tuple[int, ...]
    mean: float | None
    shards: int
    of_shards: int


@dataclass(frozen=True)
class Move:
    """Labels that moved from one class to another since the version before; None is no vote."""

    before: str | None
    after: str | None
    records: int
    because: str


@dataclass(frozen=True)
class Moves:
    """Labels that moved since the version before.

    Attributes:
        records: Records of both versions,
        moved: and those whose label is another.
        pairs: By pair of classes, the largest first; not all.
        shards: Shards that were compared,
        of_shards: of so many.
    """

    records: int
    moved: int
    pairs: tuple[Move, ...]
    shards: int
    of_shards: int


@dataclass(frozen=True)
class Drift:
    """A function that was not edited and votes on another share of the records than before.

    Attributes:
        name: The function.
        before: Share of the records that it voted on.
        now: Share that it votes on.
        shift: How far that moved beyond chance, as a part of the larger share, 0 to 1.
    """

    name: str
    before: float
    now: float
    shift: float


@dataclass(frozen=True)
class Before:
    """The version before, and what changed since.

    Attributes:
        version: Its number.
        rows: Its records.
        covered: Those with a vote.
        changes: What changed, as short phrases.
        label_shift: Jensen-Shannon divergence of the labels' distributions, in bits; None where
            the classes are others.
        drifts: Functions that drifted, the furthest first; not all.
        moves: Labels that moved; None where that was not looked for, and `moves_missing` says why.
        moves_missing: Why there are none.
    """

    version: int
    rows: int
    covered: int
    changes: tuple[str, ...]
    label_shift: float | None
    drifts: tuple[Drift, ...]
    moves: Moves | None
    moves_missing: str = ""


@dataclass(frozen=True)
class Check:
    """A check of the label model: ``pass``, ``warn``, ``fail`` or ``unknown``."""

    name: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class ModelState:
    """What the label model says of itself.

    Attributes:
        name: Its name in the job file.
        regime: What it took its sources for; None for a model that does not tell.
        fallback: Why majority vote was used in its place; None when it was not.
        warnings: What it warns of.
        checks: What was checked of it.
        duplicates: Groups of functions that count about as one.
        kept: Whether it is the model of an earlier version, not fitted again.
        drift: How far votes moved since it was fitted; None where that was not measured.
    """

    name: str
    regime: str | None
    fallback: str | None
    warnings: tuple[str, ...]
    checks: tuple[Check, ...]
    duplicates: tuple[str, ...] = ()
    kept: bool = False
    drift: float | None = None


@dataclass(frozen=True)
class DecidingVote:
    """What a vote, or another term, adds for the label against the runner-up, in nats.

    Attributes:
        name: The function, or what the term is.
        label: What was voted for; None for a term that is no vote.
        adds: Log-odds of the label against the runner-up; None for a vote that was not used.
    """

    name: str
    label: str | None
    adds: float | None


@dataclass(frozen=True)
class SampledRecord:
    """A record of the corpus with its label and the votes that decided it.

    Attributes:
        id: Its id.
        label: Its label; None for a record without votes.
        confidence: Probability of the label.
        runner_up: The next probable class.
        gold: Its hand label, if it has one.
        origin: Where the label comes from, ``votes`` but for an assisted job.
        values: What it holds, by column; None where the corpus cannot be read.
        votes: The votes, those that add most first.
        others: The other terms of the sum.
    """

    id: str
    label: str | None
    confidence: float
    runner_up: str | None
    gold: str | None
    origin: str
    values: Mapping[str, str | None] | None
    votes: tuple[DecidingVote, ...]
    others: tuple[DecidingVote, ...]

    @property
    def terms(self) -> tuple[DecidingVote, ...]:
        """All terms of the sum."""
        return (*self.votes, *self.others)

    @property
    def strongest(self) -> float:
        """Size of the largest term."""
        return max((abs(term.adds or 0.0) for term in self.terms), default=0.0)


@dataclass(frozen=True)
class SampleGroup:
    """Records sampled for a reason: a class, a conflict of two functions, no votes."""

    kind: Literal["class", "conflict", "uncovered"]
    title: str
    count: int
    records: tuple[SampledRecord, ...]


@dataclass(frozen=True)
class Samples:
    """All sampled records, and why their text is missing if it is."""

    groups: tuple[SampleGroup, ...]
    text_missing: str = ""

    def of(self, kind: str) -> tuple[SampleGroup, ...]:
        """Return the groups of one kind."""
        return tuple(group for group in self.groups if group.kind == kind)


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not be read, or on which a function failed."""

    outcome: str
    where: str
    function: str | None
    message: str
    text: str | None


@dataclass(frozen=True)
class Letters:
    """Dead letters: exact counts, and some of them."""

    bad_records: int
    faults: int
    invalid: int
    shown: tuple[DeadLetter, ...]


@dataclass(frozen=True)
class Effort:
    """Human effort spent: one line for each kind.

    Attributes:
        lines: What was judged for what, how much, and by whom, as (what, judgements, minutes).
        labels: Labels made, of covered records.
        judgements: Judgements in all.
    """

    lines: tuple[tuple[str, int, float | None], ...]
    labels: int
    judgements: int


@dataclass(frozen=True)
class SourceFile:
    """A file of the corpus, and how many shards of it there are."""

    uri: str
    fingerprint: str
    shards: int


@dataclass(frozen=True)
class Provenance:
    """Where the version came from, by name; files are not all where there are many."""

    facts: tuple[tuple[str, str], ...]
    files: tuple[SourceFile, ...]
    of_files: int
    shards: int


@dataclass(frozen=True)
class Report:
    """All that the page says of a version.

    Attributes:
        job: The job's name.
        version: The version.
        started: When its run started, ISO 8601 in UTC.
        rows: Records.
        covered: Records with a vote.
        accuracy: How right the labels are; None where nothing says.
        other_accuracy: What the other sources say.
        refusal: A later run that published nothing; None without one.
        gates: All gates.
        attention: What needs attention, as sentences.
        before: The version before; None for the first, or where it is gone.
        before_missing: Why there is none.
        classes: The classes.
        slices: Slices of the corpus, as the job declares them.
        functions: The LF table, cut; `of_functions` is how many there are.
        pairs: Pairs of the most frequent functions; None of a single one.
        reliability: Confidence against share right on gold; empty without gold that scores.
        histogram: Confidence of covered records.
        model: The label model's own view.
        samples: Sampled records.
        letters: Dead letters.
        effort: Human effort.
        provenance: Lineage.
    """

    job: str
    version: int
    started: str
    rows: int
    covered: int
    accuracy: Accuracy | None
    other_accuracy: tuple[Accuracy, ...]
    refusal: Refusal | None
    gates: tuple[Gate, ...]
    attention: tuple[str, ...]
    before: Before | None
    before_missing: str
    classes: tuple[ClassRow, ...]
    slices: tuple[SliceRow, ...]
    functions: tuple[FunctionRow, ...]
    of_functions: int
    pairs: PairCounts | None
    reliability: tuple[Reliability, ...]
    histogram: Histogram
    model: ModelState
    samples: Samples
    letters: Letters
    effort: Effort
    provenance: Provenance

    @property
    def coverage(self) -> float:
        """Share of records with a vote."""
        return self.covered / self.rows if self.rows else 0.0

    @property
    def accepted(self) -> tuple[Gate, ...]:
        """Gates that refused the version and were overridden by name."""
        return tuple(gate for gate in self.gates if gate.accepted)
