"""What of a version needs attention, as sentences for somebody who has five minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labelmill.manifest import Manifest
from labelmill.report.content import Accuracy, FunctionRow
from pipelines.screen_text import plural

MOST_NAMED = 5
LOW_COVERAGE = 0.5
CALIBRATION_GAP = 0.05
LEAST_JUDGED = 100
"""Gold records from which calibration is spoken of."""


def attention_of(
    manifest: Manifest, functions: Sequence[FunctionRow], known: Sequence[Accuracy]
) -> tuple[str, ...]:
    """Return what needs attention, the gravest first.

    Args:
        manifest: The version.
        functions: Its LF table.
        known: What is known of its accuracy.
    """
    return (
        *_of_publication(manifest),
        *_of_accuracy(manifest, known),
        *_of_functions(functions),
        *_of_records(manifest),
    )


def _of_publication(manifest: Manifest) -> Iterator[str]:
    model = manifest.summary["model"]
    for gate in manifest.gates:
        if gate["accepted"]:
            yield f"Published over gate {gate['name']}: {gate['message']}."
    if model["fallback"]:
        yield f"Majority vote was used in place of the label model: {model['fallback']}."
    for warning in model["warnings"]:
        if not (model["fallback"] and warning.endswith(model["fallback"])):
            yield f"Label model: {warning}."


def _of_accuracy(manifest: Manifest, known: Sequence[Accuracy]) -> Iterator[str]:
    if all(one.source == "expected" for one in known):
        yield (
            "Nothing measures these labels. An audit or 50 random judgements would say how right "
            "they are."
        )
    scores = ((manifest.summary.get("gold") or {}).get("model") or {}).get("covered")
    expected = next((one.share.value for one in known if one.source == "expected"), None)
    if scores is None or expected is None or scores["n"] < LEAST_JUDGED:
        return
    gap = expected - scores["accuracy"]
    if abs(gap) > CALIBRATION_GAP:
        more = "more" if gap > 0 else "less"
        yield (
            f"Confidence promises {more} than gold shows: {expected:.0%} on average, where "
            f"{scores['accuracy']:.0%} are right. Compare before you cut by confidence."
        )


def _of_functions(functions: Sequence[FunctionRow]) -> Iterator[str]:
    unused = [row.name for row in functions if not row.used]
    if unused:
        yield f"Failed too often, so that their votes are not used: {_named(unused)}."
    failed = [row for row in functions if row.used and row.faults + row.invalid]
    if failed:
        worst = sorted(failed, key=lambda row: -(row.faults + row.invalid))
        total = sum(row.faults + row.invalid for row in failed)
        names = _named([row.name for row in worst])
        yield f"Functions failed {plural(total, 'time')}: {names}."
    wrong = [
        f"{row.name} ({row.gold.value:.0%})"
        for row in functions
        if row.gold is not None and row.gold.high is not None and row.gold.high < 0.5
    ]
    if wrong:
        yield f"Wrong more often than right on gold: {_named(wrong)}."
    silent = [row.name for row in functions if row.used and not row.votes]
    if silent:
        yield f"Vote on no record: {_named(silent)}."


def _of_records(manifest: Manifest) -> Iterator[str]:
    counts = manifest.counts
    rows, covered = counts["rows"], counts["covered"]
    if rows and covered / rows < LOW_COVERAGE:
        yield f"No function votes on {plural(rows - covered, 'record')}, {1 - covered / rows:.0%}."
    if counts["bad_records"]:
        yield f"{plural(counts['bad_records'], 'record')} could not be read."
    if counts["duplicate_ids"]:
        yield f"{plural(counts['duplicate_ids'], 'id')} occur more than once; labels join by id."


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
