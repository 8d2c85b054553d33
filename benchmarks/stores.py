"""What publishing on an object store costs: the same files and commit on S3 and on local disk.

    python -m benchmarks.stores [--shards 100] [--kilobytes 200]

The S3 server runs on this machine (scripts/store_servers.py installs it), so the ratio is that of
client and protocol, without a network. Prints medians of several rounds.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from labelmill.manifest import FileEntry
from labelmill.store import Store
from labelmill.versions import commit

ROUNDS = 5


def seconds_to_publish(store: Store, files: list[bytes]) -> float:
    """Store the files one after another and commit a version of them."""
    from committers import next_manifest

    started = time.perf_counter()
    entries = tuple(
        FileEntry.of(store.put(f"labels/{n}", data), kind="labels", rows=0, shard=str(n))
        for n, data in enumerate(files)
    )
    commit(store, next_manifest(None, files=entries))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--kilobytes", type=int, default=200)
    options = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(root / "tests"), str(root / "tests" / "stores")]
    from servers import s3_server

    files = [random.Random(n).randbytes(options.kilobytes * 1000) for n in range(options.shards)]
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder) / "s3") as server:
        os.environ.update(server.environment)
        Store.open(server.uri).list()  # connects
        roots = {"local disk": f"{folder}/disk", "S3": server.uri}
        medians = {}
        for name, uri in roots.items():
            rounds = [
                seconds_to_publish(Store.open(f"{uri}/{uuid.uuid4().hex}"), files)
                for _ in range(ROUNDS)
            ]
            medians[name] = statistics.median(rounds)
            print(f"{name}: {medians[name]:.2f} s for {options.shards} files")
        print(f"S3 / local disk: {medians['S3'] / medians['local disk']:.1f}")


if __name__ == "__main__":
    main()
