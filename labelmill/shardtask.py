"""What all shards of a job share, and how the files of a shard are named after their inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from labelmill.jobspec import JobSpec, LimitsSpec
from labelmill.shard import Shard
from labelmill.slices import SliceTask
from labelmill.tablefile import input_digest
from labelmill.votes import LFTable

LAYOUT = 3
"""Changes when the content of stored shard files changes its meaning."""

RETRY = "-retry-"
"""In the name of votes that lack those of a service that was down; they are not used again."""

LIMIT = "-limit-"
"""In the name of votes that lack some for want of time, before the limit; used with that alone."""


@dataclass(frozen=True)
class ShardTask:
    """What all shards of a job share; plain data that travels to workers.

    Attributes:
        job: The job.
        table: LF table.
        schema: Schema of the columns that the job reads.
        output_uri: Root of the data set.
        gold_digest: Digest of the gold file, empty without one.
        keys: Key of each function, see `labelmill.functionkeys`.
        reuse: Whether stored files may be used instead of computing them again.
        check_ids: Whether ids that occur twice are looked for.
        budget_share: Part of the budgets of functions that cost money for each shard.
        assist: In the store, the sample that the assisting classifier is trained on.
        slices: The job's slices; None without any.
        renamed: Votes that are stored under another name than their usual one.
        earlier_end: How names of votes of an earlier run over the same records end, some of which
            may serve; empty without any.
        earlier: By shard, such votes whose name ends otherwise; empty text where there are none.
        progress_path: In a local run, the file that rows done are appended to. It is there as
            long as the run goes on.
        launcher: Number of the process that launched a local run.
    """

    job: JobSpec
    table: LFTable
    schema: pa.Schema
    output_uri: str
    gold_digest: str
    keys: tuple[str, ...]
    reuse: bool
    check_ids: bool
    budget_share: float = 1.0
    assist: str | None = None
    slices: SliceTask | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    earlier_end: str = ""
    earlier: Mapping[str, str] = field(default_factory=dict)
    progress_path: str | None = None
    launcher: int = 0

    @property
    def gold_column(self) -> str | None:
        """The corpus column with gold, if gold is there."""
        gold = self.job.gold
        return gold.column if gold is not None and gold.uri is None else None

    def votes_path(self, shard: Shard) -> str:
        """Return the usual name of the votes of `shard`."""
        return f"votes/{shard.id}-{self.votes_digest(shard)}.parquet"

    def current_votes_path(self, shard: Shard) -> str:
        """Return the name under which the current version has the votes of `shard`, if it has."""
        path = self.votes_path(shard)
        return self.renamed.get(path, path)

    def limited_path(self, path: str, digest: str) -> str:
        """Return the name of votes that would be others with more time."""
        return path.replace(".parquet", f"{_limited(self.job.limits)}{digest}.parquet")

    def votes_digest(self, shard: Shard) -> str:
        """Return the digest of all that determines the votes of `shard`."""
        return f"{self._records_digest(shard)}-{self._functions_digest}"

    def earlier_votes(self, shard: Shard) -> str | None:
        """Return the name of votes of an earlier run on the records of `shard`, if there are."""
        if shard.id in self.earlier:
            return self.earlier[shard.id] or None
        return self.earlier_prefix(shard) + self.earlier_end if self.earlier_end else None

    def earlier_prefix(self, shard: Shard) -> str:
        """Return how names of votes on the records of `shard` begin, whatever the functions."""
        return f"votes/{shard.id}-{self._records_digest(shard)}-"

    def slices_path(self, shard: Shard) -> str:
        """Return the usual name of the slices file of `shard`; which rows it has, votes tell."""
        assert self.slices is not None
        content = [self._records_digest(shard), self.columns_digest, self.slices.digest]
        return f"slices/{shard.id}-{input_digest(content)}.parquet"

    def _records_digest(self, shard: Shard) -> str:
        place = [shard.name, shard.start, shard.stop, shard.fingerprint]
        return input_digest([self._reading_digest, place])[:16]

    @cached_property
    def _reading_digest(self) -> str:
        reading = self.job.input.model_dump(
            mode="json", include={"id", "types", "delimiter", "multiline", "format"}
        )
        return input_digest({"layout": LAYOUT, "reading": reading})

    @cached_property
    def columns_digest(self) -> str:
        """Digest of what is read of a record, gold included: the same gives the same records."""
        columns = [[column.name, str(column.type)] for column in self.schema]
        return input_digest({"columns": columns, "gold": self.gold_column})

    @property
    def votes_mark(self) -> str:
        """What is in the names of all votes of this job, and of none by other functions."""
        return f"-{self._functions_digest}"

    @cached_property
    def _functions_digest(self) -> str:
        """The part that all shards share, worked out once: it grows with the functions."""
        return input_digest(
            {
                "columns": self.columns_digest,
                "lfs": [[name, key] for name, key in zip(self.table.names, self.keys, strict=True)],
                "classes": self.table.class_names,
                "ids": self.check_ids,
            }
        )[:16]

    def gold_content(self) -> Any:
        """Return what determines which records have which gold in which role."""
        gold = self.job.gold
        return None if gold is None else [gold.column, gold.fit, gold.seed, self.gold_digest]


def may_reuse(path: str, limits: LimitsSpec) -> bool:
    """Return whether stored votes with this name are still what a run would make."""
    return RETRY not in path and (LIMIT not in path or _limited(limits) in path)


def limited_votes(stored: Iterable[str], limits: LimitsSpec) -> dict[str, str]:
    """Return, by their usual name, votes that lack some for want of time, before this limit.

    Args:
        stored: Names in the data set.
        limits: The limits of a run, which would wait as long and miss them again.
    """
    mark = _limited(limits)
    found = sorted((path for path in stored if mark in path), reverse=True)
    return {f"{path.partition(mark)[0]}.parquet": path for path in found}


def _limited(limits: LimitsSpec) -> str:
    return f"{LIMIT}{limits.timeout:g}-"
