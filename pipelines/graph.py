"""The job graph: one Beam pipeline from shards to a published version."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam

from labelmill.apply import Outcomes
from labelmill.job import PreparedJob
from labelmill.publication import RunInfo
from labelmill.shard import Shard
from labelmill.shardtask import ShardTask
from transforms.assist import TrainAssist
from transforms.elements import ShardVotes
from transforms.fit import FitLabelModel
from transforms.outcomes import MergeOutcomesFn
from transforms.patterns import MergePatterns
from transforms.publish import CountRepeatedIds, Publish
from transforms.refit import Refit
from transforms.shards import LabelShards, VoteShards


@dataclass(frozen=True)
class GraphInputs:
    """What the graph is built from.

    Attributes:
        shards: All shards.
        task: What they share.
        prepared: The functions.
        run: The run.
        rows: Records, known or estimated.
        refit: What decides whether the label model of the current version is kept.
    """

    shards: tuple[Shard, ...]
    task: ShardTask
    prepared: PreparedJob
    run: RunInfo
    rows: int
    refit: Refit | None = None


def build_graph(pipeline: beam.Pipeline, inputs: GraphInputs) -> beam.PCollection[str]:
    """Add the job graph to `pipeline`.

    Returns:
        PCollection of one `str`: the outcome of the run as JSON, which is in the store as well.
    """
    task = inputs.task
    shards = (
        pipeline
        | "Shards" >> beam.Create(list(inputs.shards)).with_output_types(Shard)
        | "Spread" >> beam.Reshuffle()
    )
    voted = shards | "ApplyLabelingFunctions" >> VoteShards(task, inputs.prepared)
    outcomes = (
        voted.shards
        | "Outcomes" >> beam.Map(outcomes_of).with_output_types(Outcomes)
        | "MergeOutcomes"
        >> beam.CombineGlobally(MergeOutcomesFn(len(task.table.lfs))).without_defaults()
    )
    blocks = voted.patterns | "CountVotePatterns" >> MergePatterns()
    fit = blocks | "FitLabelModel" >> FitLabelModel(
        task.table,
        task.job.model,
        outcomes=outcomes,
        max_fault_rate=task.job.gates.max_fault_rate,
        records=inputs.rows,
        refit=inputs.refit,
    )
    assist = None if task.assist is None else fit | "TrainAssist" >> TrainAssist(task)
    labels = voted.shards | "LabelShards" >> LabelShards(task, fit, assist)
    repeats = voted.shards | "CountRepeatedIds" >> CountRepeatedIds(task, inputs.rows)
    return labels | "Publish" >> Publish(
        task, inputs.run, votes=voted.shards, fit=fit, repeats=repeats, assist=assist
    )


def outcomes_of(votes: ShardVotes) -> Outcomes:
    """Return the exact counts of a shard."""
    return votes.outcomes
