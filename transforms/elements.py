"""What travels between the steps of the job graph beside record batches: small descriptors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from labelmill.apply import Outcomes
from labelmill.manifest import FileEntry
from labelmill.shard import Shard
from labelmill.slicecounts import SliceCounts
from labelmodel.estimator import clone
from labelmodel.staged import StagedModel
from labelmodel.state import Statistics


@dataclass(frozen=True)
class ShardVotes:
    """A shard whose votes, patterns and dead letters are stored.

    Attributes:
        shard: The shard.
        votes: Its votes file.
        patterns: Its pattern table.
        faults: Its dead letters, when there are any.
        ids: Digests of its ids, when duplicates are looked for.
        outcomes: Exact counts; the seconds are zero when the votes were reused.
        bad_records: Records that could not be read.
        duplicate_ids: Records whose id stands earlier in the shard.
        reused: Whether the votes were found stored.
        slices: Which of its records are in which slice, where the job has slices.
    """

    shard: Shard
    votes: FileEntry
    patterns: FileEntry
    faults: FileEntry | None
    ids: FileEntry | None
    outcomes: Outcomes
    bad_records: int
    duplicate_ids: int
    reused: bool
    slices: FileEntry | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "shard": self.shard.to_dict(),
            "votes": asdict(self.votes),
            "patterns": asdict(self.patterns),
            "faults": None if self.faults is None else asdict(self.faults),
            "ids": None if self.ids is None else asdict(self.ids),
            "outcomes": self.outcomes.to_dict(),
            "bad_records": self.bad_records,
            "duplicate_ids": self.duplicate_ids,
            "reused": self.reused,
            "slices": None if self.slices is None else asdict(self.slices),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ShardVotes:
        """Read what `to_dict` wrote."""
        faults, ids, slices = value["faults"], value["ids"], value["slices"]
        return cls(
            Shard.from_dict(value["shard"]),
            FileEntry(**value["votes"]),
            FileEntry(**value["patterns"]),
            None if faults is None else FileEntry(**faults),
            None if ids is None else FileEntry(**ids),
            Outcomes.from_dict(value["outcomes"]),
            value["bad_records"],
            value["duplicate_ids"],
            value["reused"],
            None if slices is None else FileEntry(**slices),
        )


@dataclass(frozen=True)
class ShardLabels:
    """A shard whose labels are stored.

    Attributes:
        labels: Its labels file.
        rows: Records labeled.
        covered: Records with at least one vote.
        class_counts: Per class, covered records with that label.
        assist: Where a classifier assists, scores by source, see `transforms.assist`.
        slices: Counts of each slice.
    """

    labels: FileEntry
    rows: int
    covered: int
    class_counts: tuple[int, ...]
    assist: Mapping[str, list[int]] = field(default_factory=dict)
    slices: tuple[SliceCounts, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ShardLabels:
        """Read what `to_dict` wrote."""
        return cls(
            FileEntry(**value["labels"]),
            value["rows"],
            value["covered"],
            tuple(value["class_counts"]),
            value["assist"],
            tuple(map(SliceCounts.from_dict, value["slices"])),
        )


@dataclass(frozen=True)
class FitResult:
    """What fitting found, in one element.

    Attributes:
        parameters: The label model as canonical JSON, see `labelmodel.parameters`.
        dropped: Indices of functions whose votes are not used, ascending.
        analysis: The LF table's figures, totals and scores, as plain data.
    """

    parameters: str
    dropped: tuple[int, ...]
    analysis: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "parameters": self.parameters,
            "dropped": list(self.dropped),
            "analysis": dict(self.analysis),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> FitResult:
        """Read what `to_dict` wrote."""
        return cls(value["parameters"], tuple(value["dropped"]), value["analysis"])

    def with_notes(self, notes: Mapping[str, Any]) -> FitResult:
        """Return this with more said of the model."""
        model = {**self.analysis["model"], **notes}
        return replace(self, analysis={**self.analysis, "model": model})


@dataclass(frozen=True)
class AssistModel:
    """The classifier that assists, in the store.

    Attributes:
        file: Its file.
        about: What is known of its training, numbers by name.
    """

    file: FileEntry
    about: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"file": asdict(self.file), "about": dict(self.about)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> AssistModel:
        """Read what `to_dict` wrote."""
        return cls(FileEntry(**value["file"]), value["about"])


@dataclass(frozen=True)
class FitPlan:
    """How a fit goes, decided when the votes are counted.

    Attributes:
        dropped: Indices of functions whose votes are not used, ascending.
        in_stages: Whether the patterns stay where they are.
        kept: Parameters of the model of the current version, where that is kept.
        notes: What is added to what is said of the model.
    """

    dropped: tuple[int, ...]
    in_stages: bool
    kept: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "dropped": list(self.dropped),
            "in_stages": self.in_stages,
            "kept": self.kept,
            "notes": dict(self.notes),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> FitPlan:
        """Read what `to_dict` wrote."""
        return cls(tuple(value["dropped"]), value["in_stages"], value["kept"], value["notes"])


@dataclass(frozen=True)
class FitStage:
    """How far a fit in stages is.

    Attributes:
        model: The model, not fitted.
        state: What `m_step` returned last; None for a fit that is not done in stages.
        dropped: Indices of functions whose votes are not used.
    """

    model: StagedModel[Any]  # Any: each model has a state of its own
    state: Any
    dropped: tuple[int, ...]

    @property
    def is_active(self) -> bool:
        """Whether there is a next stage."""
        return self.state is not None and self.state.stage != "done"

    def fitted(self) -> StagedModel[Any]:
        """Return the fitted model of a fit that is done."""
        return clone(self.model).set_state(self.state)

    def after(self, statistics: Statistics) -> FitStage:
        """Return the next stage."""
        return replace(self, state=self.model.m_step(statistics, self.state))
