"""The list of versions where there are many, or where some vanish while it is read."""

from labelmill import history as history_module
from labelmill.errors import VersionNotFoundError
from labelmill.history import history
from labelmill.manifest import Manifest
from labelmill.store import Store
from labelmill.versions import commit, read_manifest


def publish(store, count):
    parent = None
    for number in range(count):
        lf = {"name": "f", "fingerprint": str(number // 2), "kind": "python"}
        manifest = Manifest(
            version=number + 1,
            parent=parent and parent.version,
            parent_digest=parent and parent.digest,
            name="job",
            class_names=("ham", "spam"),
            lfs=(lf,),
            inputs_digest=str(number),
            spec={},
            shards=(),
            files=(),
            model_digest="m",
            counts={"rows": number, "covered": number, "class_counts": [number, 0]},
            summary={},
            gates=(),
        )
        parent = commit(store, manifest)


def test_many_versions_are_listed_in_order_with_their_changes(tmp_path):
    store = Store.open(tmp_path)
    publish(store, 30)

    versions = history(store)

    assert [version.version for version in versions] == list(range(1, 31))
    edits = [v.version for v in versions[1:] if v.changes.functions.edited]
    assert edits == list(range(3, 31, 2))
    assert history(store, last=5) == versions[-5:]
    assert history(store, last=30) == history(store, last=99) == versions


def test_versions_that_a_clean_up_deletes_meanwhile_are_left_out(tmp_path, monkeypatch):
    store = Store.open(tmp_path)
    publish(store, 4)

    def read(store, number):
        if number < 3:
            raise VersionNotFoundError("deleted")
        return read_manifest(store, number)

    monkeypatch.setattr(history_module, "read_manifest", read)

    first, second = history(store)

    assert (first.version, first.changes) == (3, None)
    assert second.changes is not None


def test_nothing_published_is_no_version(tmp_path):
    assert history(Store.open(tmp_path)) == []
