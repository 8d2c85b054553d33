"""Runs that were submitted: a record in the store before the engine has them, and how they stand.

The record lets anybody who reads the store see a run that its launcher no longer waits for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labelmill.errors import CorruptFileError, VersionNotFoundError
from labelmill.publication import RunOutcome
from labelmill.store import Store
from labelmill.versions import SUBMISSIONS_FOLDER, run_path, submission_path

FORMAT = 1


@dataclass(frozen=True)
class Submission:
    """A run as it was handed to an engine.

    Attributes:
        run_id: The run.
        started: ISO 8601 time in UTC.
        job: Name of the labelmill job.
        runner: ``local``, ``flink``, ``spark``, ``prism``, ``dataflow`` or a Beam runner.
        engine_job: Name under which the engine has the job.
        engine: Address at which the engine can be asked, empty when not known.
        host: The machine of the launcher.
        pid: The launcher's process on it.
        needs_launcher: Whether the run ends with the launcher.
        shards: Shards of the corpus.
        to_vote: Those whose votes were not stored.
        votes_mark: What is in the names of the run's votes and of no others; empty when votes that
            are stored already are made again.
        votes_before: Stored files of votes with that mark.
        labels_before: Stored files of labels.
    """

    run_id: str
    started: str
    job: str
    runner: str
    engine_job: str
    engine: str
    host: str
    pid: int
    needs_launcher: bool
    shards: int
    to_vote: int
    votes_mark: str
    votes_before: int
    labels_before: int

    def to_json(self) -> str:
        """Return canonical JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes, path: str) -> Submission:
        """Read what `to_json` wrote.

        Raises:
            CorruptFileError: It is something else, or of a newer labelmill.
        """
        try:
            content = json.loads(text)
            if content.pop("format") != FORMAT:
                raise CorruptFileError(f"{path} was written by a newer labelmill; update this one")
            return cls(**content)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, CorruptFileError):
                raise
            raise CorruptFileError(f"{path} is no record of a run: {error}") from error


@dataclass(frozen=True)
class RunStatus:
    """How a run stands, by what the store tells.

    Attributes:
        submission: The run as submitted.
        outcome: How it ended; None while it has not.
        voted: Of the shards to vote on, those whose votes are stored by now; None where votes that
            were stored before are replaced, so that counting tells nothing.
        labeled: Files of labels that were stored since.
    """

    submission: Submission
    outcome: RunOutcome | None
    voted: int | None
    labeled: int

    def to_dict(self) -> Mapping[str, Any]:
        """Return plain data."""
        return asdict(self)


def count_stored(store: Store, mark: str) -> tuple[int, int]:
    """Count what a run adds to: files of votes with `mark` in their names, and files of labels."""
    votes = sum(mark in path for path in store.list("votes")) if mark else 0
    return votes, len(store.list("labels"))


def store_submission(store: Store, submission: Submission) -> None:
    """Store the record of a run that is about to be submitted."""
    store.create(submission_path(submission.run_id), submission.to_json().encode())


def read_status(store: Store, run_id: str | None = None) -> RunStatus:
    """Return how a run stands.

    Args:
        store: The data set.
        run_id: The run; by default the one that was submitted last.

    Raises:
        VersionNotFoundError: There is no such run, or none at all.
        CorruptFileError: Its record is damaged.
    """
    if run_id is None:
        paths = store.list(SUBMISSIONS_FOLDER)  # ids start with the time
        if not paths:
            raise VersionNotFoundError(f"{store.uri} has no record of a run; check the URI")
        path = max(paths)
    else:
        path = submission_path(run_id)
    try:
        submission = Submission.from_json(store.get(path), path)
    except FileNotFoundError:
        raise VersionNotFoundError(f"{store.uri} has no run {run_id}") from None
    outcome = read_outcome(store, submission.run_id)  # before counting: what is there then stays
    votes, labels = count_stored(store, submission.votes_mark)
    voted = None
    if submission.votes_mark:
        voted = min(max(votes - submission.votes_before, 0), submission.to_vote)
    return RunStatus(submission, outcome, voted, max(labels - submission.labels_before, 0))


def read_outcome(store: Store, run_id: str) -> RunOutcome | None:
    """Return how a run ended, None while it has not."""
    try:
        return RunOutcome.from_json(store.get(run_path(run_id)))
    except FileNotFoundError:
        return None
