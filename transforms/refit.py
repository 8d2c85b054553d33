"""Whether a label model is fitted again, or that of the current version is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labelmill.errors import CorruptFileError
from labelmill.manifest import FileEntry, Manifest
from labelmill.modelversion import MODEL_VERSION
from labelmill.outcomes import Outcomes
from labelmill.shardtask import ShardTask
from labelmill.shifts import rate_shift
from labelmill.store import Store
from labelmill.tablefile import input_digest


@dataclass(frozen=True)
class Refit:
    """What decides whether the model of the current version is kept.

    Attributes:
        inputs: Digest of what a model has to be fitted with, whatever `model.refit` says: its
            settings, the functions' names, the classes, the gold.
        fingerprints: Of the functions.
        max_drift: Largest drift for which the model is kept; None for any.
        output_uri: The data set.
        model: The model of the current version; None where it cannot be kept.
        said: What the current version says of it.
    """

    inputs: str
    fingerprints: tuple[str, ...]
    max_drift: float | None
    output_uri: str
    model: FileEntry | None
    said: Mapping[str, Any]

    def fitted_on(self, outcomes: Outcomes, dropped: tuple[int, ...]) -> dict[str, Any]:
        """Describe what a model is fitted on, for later runs to compare."""
        return {
            "inputs": input_digest([self.inputs, list(dropped)]),
            "fingerprints": list(self.fingerprints),
            "rows": outcomes.rows,
            "votes": list(outcomes.votes),
        }

    def decide(
        self, outcomes: Outcomes, dropped: tuple[int, ...]
    ) -> tuple[str | None, dict[str, Any]]:
        """Return parameters of the model to keep, None where it has to be fitted, and notes.

        Args:
            outcomes: Counts of this version.
            dropped: Functions whose votes are not used.
        """
        now = self.fitted_on(outcomes, dropped)
        before = self.said.get("fitted_on")
        if self.model is None or before is None or before["inputs"] != now["inputs"]:
            return None, {"kept": False, "drift": None, "fitted_on": now}
        drift = drift_between(before, now)
        edited = before["fingerprints"] != now["fingerprints"]
        parameters = None
        if self.max_drift is None or not (edited or drift > self.max_drift):
            parameters = self._stored(self.model)
        if parameters is None:
            return None, {"kept": False, "drift": drift, "fitted_on": now}
        said = {name: self.said[name] for name in ("regime", "warnings", "fallback")}
        return parameters, {**said, "kept": True, "drift": drift, "fitted_on": before}

    def _stored(self, model: FileEntry) -> str | None:
        store = Store.open(self.output_uri)
        try:
            store.verify(model.stored_file)
        except CorruptFileError:
            return None  # broken or gone: fit again
        return store.get(model.path).decode()


def drift_between(before: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    """Return the largest shift of the share of records that a function votes on."""
    return max(
        rate_shift(votes_before, before["rows"], votes, now["rows"])
        for votes_before, votes in zip(before["votes"], now["votes"], strict=True)
    )


def refit_of(task: ShardTask, parent: Manifest | None) -> Refit | None:
    """Return what decides; None where the model is fitted in every run.

    Args:
        task: What all shards share.
        parent: The current version, if there is one.
    """
    model = task.job.model
    if model.refit == "always":
        return None
    settings = model.model_dump(mode="json", exclude={"refit", "max_drift"})
    table = task.table
    content = [MODEL_VERSION, settings, table.names, table.class_names, task.gold_content()]
    usable = parent if task.reuse else None  # --full fits again
    return Refit(
        inputs=input_digest(content),
        fingerprints=tuple(lf.fingerprint for lf in table.lfs),
        max_drift=None if model.refit == "never" else model.max_drift,
        output_uri=task.output_uri,
        model=usable.files_of("model")[0] if usable else None,
        said=usable.summary["model"] if usable else {},
    )
