"""Commands about published versions: history, diff, explain, verify, gc and export."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from labelmill.errors import CorruptFileError, JobSpecError
from pipelines.cli_parts import consoles

_URI = click.argument("uri")
_VERSION = click.option(
    "--version", type=click.IntRange(min=1), metavar="N", help="The version; else the current one."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.command()
@_URI
@click.option(
    "--last",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="Only the latest; 0 for all.",
)
@_JSON
def history(uri: str, last: int, as_json: bool) -> None:
    """List the versions in URI: when, how many records, what changed, which gates were accepted."""
    from labelmill.history import history as read_history
    from labelmill.store import Store
    from labelmill.versions import read_manifest
    from pipelines.screen_history import print_history

    store = Store.open(uri)
    versions = read_history(store, last or None)
    if not versions:
        read_manifest(store)  # says that nothing is published
    if as_json:
        _print_json({"uri": store.uri, "versions": [version.to_dict() for version in versions]})
    else:
        print_history(consoles(as_json)[0], versions)


@click.command()
@_URI
@click.argument("others", nargs=-1, metavar="[A] [B] | [URI2]")
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Records to show of each pair of classes.",
)
@click.option(
    "--renamed",
    multiple=True,
    metavar="OLD=NEW",
    help="A class that has another name in the later version; the two count as the same.",
)
@_JSON
def diff(
    uri: str, others: tuple[str, ...], examples: int, renamed: tuple[str, ...], as_json: bool
) -> None:
    """Compare two versions: labels that moved, from which class to which, by which functions.

    A and B are numbers of versions in URI: one is compared with the current one, none means the
    current one with the one before. URI2 is another data set: the current versions are compared.
    """
    from labelmill.store import Store
    from labelmill.versiondiff import diff_versions
    from pipelines.screen_diff import print_diff

    before, after = _sides(Store.open(uri), others)
    found = diff_versions(before, after, examples=examples, renamed=_renames(renamed))
    if as_json:
        _print_json({"before_uri": before[0].uri, "after_uri": after[0].uri, **found.to_dict()})
    else:
        print_diff(consoles(as_json)[0], found)


def _sides(store: Any, others: Sequence[str]) -> Any:
    """Return data set and version of both sides."""
    from labelmill.store import Store
    from labelmill.versions import list_versions

    numbers = [int(other) for other in others if other.isdecimal()]
    if len(others) == 1 and not numbers:
        return (store, None), (Store.open(others[0]), None)
    if len(others) > 2 or len(numbers) != len(others):
        raise JobSpecError(
            f"diff takes URI A B, URI A, URI or URI URI2, with numbers of versions for A and B; "
            f"got {' '.join(others)!r} after the URI"
        )
    if numbers:
        return (store, numbers[0]), (store, numbers[1] if len(numbers) == 2 else None)
    last = list_versions(store)[-2:]
    if len(last) < 2:
        raise JobSpecError(
            f"{store.uri} has {'one version' if last else 'no published version'}; there is "
            "nothing to compare"
        )
    return (store, last[0]), (store, last[1])


def _renames(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    wrong = [text for text, (old, _, new) in zip(given, pairs, strict=True) if not (old and new)]
    if wrong:
        raise JobSpecError(f"--renamed {wrong[0]}: expected OLD=NEW")
    return {old: new for old, _, new in pairs}


@click.command()
@_URI
@click.argument("record_id", metavar="ID")
@_VERSION
@_JSON
def explain(uri: str, record_id: str, version: int | None, as_json: bool) -> None:
    """Say why record ID has its label: votes, what each adds, and where all of it came from."""
    from labelmill.store import Store
    from pipelines.explaining import explain as explain_record
    from pipelines.screen_explain import print_explanation

    found = explain_record(Store.open(uri), record_id, version)
    if as_json:
        _print_json(found.to_dict())
    else:
        print_explanation(consoles(as_json)[0], found)


@click.command()
@_URI
@_VERSION
@_JSON
def verify(uri: str, version: int | None, as_json: bool) -> None:
    """Read all files of a version in URI and compare them with its manifest."""
    from labelmill.store import Store
    from labelmill.versions import latest_version, read_manifest, verify_version
    from pipelines.screen_text import plural, printable

    store = Store.open(uri)
    number = version or latest_version(store)
    problems = verify_version(store, number)
    if as_json:
        _print_json({"uri": store.uri, "version": number, "problems": problems})
    out, _ = consoles(as_json)
    for problem in problems:
        out.print(printable(problem), highlight=False, soft_wrap=True)
    if problems:
        raise CorruptFileError(
            f"version {number} of {store.uri} has {plural(len(problems), 'problem')}; "
            "labelmill run --full makes its files again"
        )
    files = read_manifest(store, number).files
    size = sum(file.bytes for file in files) / 2**20
    out.print(
        f"version {number}: {plural(len(files), 'file')}, {size:,.1f} MB, all as they were written",
        highlight=False,
    )


@click.command()
@_URI
@click.option(
    "--keep", type=click.IntRange(min=1), required=True, metavar="N", help="Versions that stay."
)
@click.option(
    "--min-age",
    type=click.FloatRange(min=0),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="Younger files stay: longer than any run takes.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted; delete nothing.")
@_JSON
def gc(uri: str, keep: int, min_age: float, dry_run: bool, as_json: bool) -> None:
    """Delete versions in URI but the latest N, and files that no version names any more.

    Answers of language models (prompts/) and audits are never deleted.
    """
    import datetime

    from labelmill.retention import clean_up, plan_cleanup
    from labelmill.store import Store
    from pipelines.screen_history import print_cleanup

    store = Store.open(uri)
    cleanup = plan_cleanup(store, keep, min_age=datetime.timedelta(hours=min_age))
    if not dry_run:
        clean_up(store, cleanup)
    if as_json:
        _print_json({"uri": store.uri, "dry_run": dry_run, **cleanup.to_dict()})
    else:
        print_cleanup(consoles(as_json)[0], cleanup, dry_run=dry_run)


@click.command()
@_URI
@click.argument("out")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "jsonl", "csv", "tfrecord"]),
    help="Format; else OUT's suffix tells.",
)
@_VERSION
@click.option(
    "--labels",
    "form",
    type=click.Choice(["hard", "soft"]),
    default="hard",
    show_default=True,
    help="soft: the probability of each class as well.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="P",
    help="Leave out records whose label is less probable.",
)
@click.option("--uncovered", is_flag=True, help="Take records that no function voted on too.")
@click.option("--balance", is_flag=True, help="Sample each class to about the size of the rarest.")
@click.option(
    "--split",
    metavar="NAME=SHARE,...",
    help="Such as train=.8,test=.2: a file each, by a hash of the id.",
)
@click.option(
    "--group", metavar="COLUMN", help="Column of the corpus whose values stay in one split."
)
@click.option(
    "--column", "columns", multiple=True, metavar="COLUMN", help="Column of the corpus to add."
)
@click.option("--slice", "slice_name", metavar="NAME", help="Take records of this slice alone.")
@_JSON
def export(
    uri: str,
    out: str,
    kind: str | None,
    version: int | None,
    form: str,
    min_confidence: float,
    uncovered: bool,
    balance: bool,
    split: str | None,
    group: str | None,
    columns: tuple[str, ...],
    slice_name: str | None,
    as_json: bool,
) -> None:
    """Write the labels of a version in URI to OUT, a path or URL, for training.

    Records that no function voted on are left out unless asked for. With --split, OUT has the
    split's name before its suffix. Text that a spreadsheet would take for a formula gets an
    apostrophe in CSV.
    """
    from labelmill.exporting import ExportOptions, export_labels
    from labelmill.splits import Splits
    from labelmill.store import Store
    from pipelines.screen_history import print_export

    options = ExportOptions(
        format=kind or _format_of(out),  # type: ignore[arg-type]  # one of click's choices
        labels=form,  # type: ignore[arg-type]  # the same
        min_confidence=min_confidence,
        uncovered=uncovered,
        balance=balance,
        splits=None if split is None else Splits.parse(split),
        group=group,
        columns=tuple(dict.fromkeys(columns)),
        slice=slice_name,
    )
    exported = export_labels(Store.open(uri), out, options, version)
    if as_json:
        _print_json(asdict(exported))
    else:
        print_export(consoles(as_json)[0], exported)


def _format_of(out: str) -> str:
    from labelmill.exportwriters import FORMATS

    suffix = out.rpartition(".")[2].lower()
    if suffix not in FORMATS:
        raise JobSpecError(
            f"{out}: its suffix is none of {', '.join(FORMATS)}; say --format, or rename it"
        )
    return suffix


def _print_json(document: Mapping[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2))


COMMANDS: tuple[click.Command, ...] = (history, diff, explain, verify, gc, export)
"""Commands to add to the command line."""
