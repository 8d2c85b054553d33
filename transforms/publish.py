"""Publish: all shards' descriptors and the fit in, one outcome of the run out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam

from labelmill.duplicates import count_repeats, read_range, split_ranges
from labelmill.manifest import FileEntry
from labelmill.publication import Publication, RunInfo, ShardRecord, publish
from labelmill.retention import deleted_meanwhile
from labelmill.shardtask import ShardTask
from labelmill.store import Store
from transforms.assist import assist_summary
from transforms.elements import AssistModel, FitResult, ShardLabels, ShardVotes
from transforms.slicing import merged, slice_summaries

IDS_PER_PART = 1_000_000
"""Ids whose digests one worker looks at together: 16 MB."""


class Publish(beam.PTransform):
    """Check the gates and commit the version.

    Args:
        task: What all shards share.
        run: The run.
        votes: PCollection of `ShardVotes`.
        fit: PCollection of one `FitResult`.
        repeats: PCollection of the number of repeated ids per bucket.
        assist: PCollection of one `AssistModel`, where a classifier assists.

    Returns:
        PCollection of one `str`, a `labelmill.publication.RunOutcome` as JSON; it is in the store
        as well.
    """

    def __init__(
        self,
        task: ShardTask,
        run: RunInfo,
        *,
        votes: beam.PCollection[ShardVotes],
        fit: beam.PCollection[FitResult],
        repeats: beam.PCollection[int],
        assist: beam.PCollection[AssistModel] | None = None,
    ) -> None:
        super().__init__()
        self._task = task
        self._run = run
        self._votes = votes
        self._fit = fit
        self._repeats = repeats
        self._assist = assist

    def expand(self, labels: beam.PCollection[ShardLabels]) -> beam.PCollection[str]:
        """Return the outcome."""
        side = {} if self._assist is None else {"assist": beam.pvalue.AsSingleton(self._assist)}
        return (
            labels.pipeline
            | "Once" >> beam.Create([0])
            | "Commit"
            >> beam.Map(
                _commit,
                votes=beam.pvalue.AsList(self._votes),
                labels=beam.pvalue.AsList(labels),
                fit=beam.pvalue.AsSingleton(self._fit),
                repeats=beam.pvalue.AsList(self._repeats),
                task=self._task,
                run=self._run,
                **side,
            ).with_output_types(str)
        )


class CountRepeatedIds(beam.PTransform):
    """Count the ids that different shards share, range by range of their digests.

    Args:
        task: What all shards share.
        n_ids: Records, known or estimated.

    Returns:
        PCollection of ints that add up to the count; empty when ids are not checked.
    """

    def __init__(self, task: ShardTask, n_ids: int) -> None:
        super().__init__()
        self._task = task
        self._ranges = split_ranges(n_ids, IDS_PER_PART) if task.check_ids else []

    def expand(self, votes: beam.PCollection[ShardVotes]) -> beam.PCollection[int]:
        """Return the counts."""
        return (
            votes.pipeline
            | "Ranges" >> beam.Create(self._ranges).with_output_types(tuple[int, int])
            | "Spread" >> beam.Reshuffle()
            | "CountRepeats"
            >> beam.Map(
                _repeats_of_range,
                votes=beam.pvalue.AsList(votes),
                output_uri=self._task.output_uri,
            ).with_output_types(int)
        )


def _repeats_of_range(
    ranges: tuple[int, int], *, votes: Sequence[ShardVotes], output_uri: str
) -> int:
    store = Store.open(output_uri)
    files = [vote.ids for vote in votes if vote.ids is not None]
    return count_repeats(_range_of(store, file, *ranges) for file in files)


def _range_of(store: Store, file: FileEntry, first: int, stop: int) -> Any:
    try:
        return read_range(store, file, first, stop)
    except FileNotFoundError as error:
        raise deleted_meanwhile(store, file.path) from error


def _commit(
    _once: int,
    *,
    votes: Sequence[ShardVotes],
    labels: Sequence[ShardLabels],
    fit: FitResult,
    repeats: Sequence[int],
    task: ShardTask,
    run: RunInfo,
    assist: AssistModel | None = None,
) -> str:
    analysis = fit.analysis
    if assist is not None:
        said = assist_summary(assist, [label.assist for label in labels])
        analysis = {**analysis, "assist": said}
        run = replace(run, files=(*run.files, assist.file))
    if task.slices is not None:
        names, k = task.slices.names, len(task.table.class_names)
        counted = merged([label.slices for label in labels], len(names), k)
        analysis = {**analysis, "slices": slice_summaries(names, counted)}
    by_shard = {label.labels.shard: label for label in labels}
    records = [_record(vote, by_shard[vote.shard.id]) for vote in votes]
    total = sum(repeats) + sum(vote.duplicate_ids for vote in votes)
    publication = Publication(
        records, fit.parameters, analysis, total if task.check_ids else None, task, run
    )
    return publish(publication, Store.open(task.output_uri)).to_json()


def _record(votes: ShardVotes, labels: ShardLabels) -> ShardRecord:
    files: list[Any] = [votes.votes, votes.patterns, labels.labels]
    files += [file for file in (votes.faults, votes.ids, votes.slices) if file is not None]
    return ShardRecord(
        votes.shard,
        tuple(files),
        votes.outcomes,
        votes.bad_records,
        votes.duplicate_ids,
        votes.reused,
        labels.rows,
        labels.covered,
        labels.class_counts,
    )
