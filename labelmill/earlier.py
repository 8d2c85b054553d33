"""Finding stored votes of earlier runs that may serve a run, by their names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from labelmill.shard import Shard
from labelmill.shardtask import LIMIT, RETRY, ShardTask

FUNCTIONS_DIGITS = 16
"""Length of the part of a name that stands for the functions."""


def find_earlier(
    task: ShardTask,
    shards: Iterable[Shard],
    stored: Collection[str],
    current: Mapping[str, str],
) -> dict[str, str]:
    """Return, by shard, votes on its records as they are: with other functions, or not complete.

    Those of the current version come first. Where it has none, those with the functions that most
    shards have are taken: a run that was refused, or that did not end, stored them.

    Args:
        task: What all shards share.
        shards: Shards whose votes have to be made.
        stored: Names in the data set.
        current: Votes of the current version, by shard.
    """
    by_shard: dict[str, list[str]] = defaultdict(list)
    for path in stored:
        if path.startswith("votes/"):
            by_shard[path[len("votes/") :].partition("-")[0]].append(path)
    found: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for shard in shards:
        prefix = task.earlier_prefix(shard)
        paths = sorted(path for path in by_shard[shard.id] if path.startswith(prefix))
        if current.get(shard.id) in paths:
            found[shard.id] = current[shard.id]
        elif paths:
            others[shard.id] = paths
    usual = Counter(functions_of(path) for paths in others.values() for path in paths)
    for shard_id, paths in others.items():
        found[shard_id] = max(paths, key=lambda path: (usual[functions_of(path)], path))
    return found


def by_usual_end(
    task: ShardTask, shards: Iterable[Shard], earlier: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Return how most names of earlier votes end, and by shard those that are otherwise.

    Names begin as the shard tells, and mostly end alike: so little of them travels to workers.

    Args:
        task: What all shards share.
        shards: Shards whose votes have to be made.
        earlier: By shard, names of votes that may serve.
    """
    wanted = list(shards)
    ends = {
        shard.id: earlier[shard.id].removeprefix(task.earlier_prefix(shard))
        for shard in wanted
        if shard.id in earlier
    }
    if not ends:
        return "", {}
    usual = min(Counter(ends.values()).items(), key=lambda item: (-item[1], item[0]))[0]
    others = {s.id: earlier.get(s.id, "") for s in wanted if ends.get(s.id) != usual}
    return usual, others


def functions_of(path: str) -> tuple[str, bool]:
    """Return what votes with the same functions have in common, and whether some may be lacking."""
    digest = path.split("-", 2)[2][:FUNCTIONS_DIGITS]
    return digest, RETRY in path or LIMIT in path
