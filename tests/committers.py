"""Eight writers that publish versions of one data set at the same time."""

from itertools import chain

from labelmill.errors import ConcurrentRefreshError
from labelmill.manifest import Manifest
from labelmill.versions import commit, latest_version, list_versions, read_manifest

COMMITTERS = 8
COMMITS_EACH = 5


def next_manifest(parent, *, run="r", **changes):
    """Plan the version after a parent, or the first one."""
    values = {
        "version": parent.version + 1 if parent else 1,
        "parent": parent.version if parent else None,
        "parent_digest": parent.digest if parent else None,
        "name": "job",
        "class_names": ("ham", "spam"),
        "lfs": (),
        "inputs_digest": "i",
        "spec": {},
        "shards": (),
        "files": (),
        "model_digest": "m",
        "counts": {},
        "summary": {},
        "gates": (),
        "run": {"id": run},
    }
    return Manifest(**{**values, **changes})


def commit_many(store, committer):
    """Commit several versions against everybody else, planning again after each conflict."""
    committed = []
    for number in range(COMMITS_EACH):
        run = f"{committer}-{number}"
        while True:
            latest = latest_version(store)
            parent = read_manifest(store, latest) if latest else None
            try:
                # In real runs the results differ; here the counts stand for them.
                plan = next_manifest(parent, run=run, counts={"committer": run})
                committed.append(commit(store, plan).digest)
                break
            except ConcurrentRefreshError:
                continue
    return committed


def assert_linear_without_loss(store, committed):
    history = [read_manifest(store, version) for version in list_versions(store)]
    assert [manifest.version for manifest in history] == list(
        range(1, COMMITTERS * COMMITS_EACH + 1)
    )
    assert [manifest.parent_digest for manifest in history] == [
        None,
        *(manifest.digest for manifest in history[:-1]),
    ]
    assert sorted(manifest.digest for manifest in history) == sorted(chain.from_iterable(committed))
