"""Lineage of a version for its report: source files, model, run; dead letters; later runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from labelmill.deadletters import BAD_RECORD, FILES_SEARCHED
from labelmill.errors import CorruptFileError
from labelmill.manifest import Manifest
from labelmill.publication import RunOutcome
from labelmill.report.content import DeadLetter, Letters, Provenance, Refusal, SourceFile
from labelmill.store import Store
from labelmill.uris import without_credentials
from labelmill.versionrows import read_table
from labelmill.versions import RUNS_FOLDER, latest_version

MOST_LETTERS = 12
MOST_PER_FUNCTION = 2
MOST_FILES = 40


def later_refusal(store: Store, manifest: Manifest) -> Refusal | None:
    """Return the latest run if it came after the version, which is current, and published nothing.

    Run ids begin with the time at which the run started.
    """
    run_id = manifest.run.get("id")
    if not isinstance(run_id, str) or latest_version(store) != manifest.version:
        return None
    ids = [path.rpartition("/")[2].removesuffix(".json") for path in store.list(RUNS_FOLDER)]
    last = max(ids, default="")
    if last <= run_id:
        return None
    try:
        outcome = RunOutcome.from_json(store.get(f"{RUNS_FOLDER}/{last}.json"))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # a run's note may be cleaned up, or cut short by a crash
    if outcome.status == "published":
        return None
    return Refusal(outcome.run_id, outcome.status, outcome.message)


def dead_letters(store: Store, manifest: Manifest) -> Letters:
    """Return counts of dead letters and some of them: unreadable records, and failures."""
    counts = manifest.counts
    letters = Letters(
        counts["bad_records"], sum(counts["faults"]), sum(counts["invalid"]), shown=()
    )
    seen: Counter[str] = Counter()
    shown: list[DeadLetter] = []
    files = [file for file in manifest.files_of("faults") if file.rows][:FILES_SEARCHED]
    for file in files:
        if len(shown) >= MOST_LETTERS:
            break
        try:
            table = pa.Table.from_batches([read_table(store, file)])
        except CorruptFileError:
            continue  # `verify` names the damage
        for row in table.to_pylist():
            name = row["lf"] or BAD_RECORD
            most = MOST_PER_FUNCTION if row["lf"] else MOST_LETTERS // 2
            if seen[name] < most and len(shown) < MOST_LETTERS:
                seen[name] += 1
                shown.append(_letter(row))
    return Letters(letters.bad_records, letters.faults, letters.invalid, tuple(shown))


def _letter(row: dict[str, Any]) -> DeadLetter:
    where = row["file"]
    if row["line"] is not None:
        where += f":{row['line']}"
    if row["id"] is not None:
        where = f"record {row['id']}"
    message = f"{row['type']}: {row['message']}" if row["type"] else row["message"]
    return DeadLetter(row["outcome"].replace("_", " "), where, row["lf"], message, row["text"])


def provenance_of(manifest: Manifest) -> Provenance:
    """Return where a version came from."""
    shards: Counter[tuple[str, str]] = Counter(
        (shard["uri"], shard["fingerprint"]) for shard in manifest.shards
    )
    files = [
        SourceFile(without_credentials(uri), mark, n) for (uri, mark), n in sorted(shards.items())
    ]
    run = manifest.run
    facts = [
        ("Run", str(run.get("id") or "-")),
        ("Started", str(run.get("started") or "-")),
        ("Runner", str(run.get("runner") or "-")),
        ("labelmill", str(run.get("labelmill") or "-")),
        ("Version digest", manifest.digest),
        ("Version before", "none" if manifest.parent is None else str(manifest.parent)),
        ("Inputs digest", manifest.inputs_digest),
        ("Label model digest", manifest.model_digest),
        *(("Code of the functions", file.path) for file in manifest.files_of("code")),
    ]
    kept = tuple(files[:MOST_FILES])
    return Provenance(tuple(facts), kept, len(files), len(manifest.shards))
