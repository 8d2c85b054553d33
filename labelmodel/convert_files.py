"""Files of votes that other tools read and write, as a `VoteSet`: WRENCH's JSON and MACE's CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from labelmodel.arrays import IntArray
from labelmodel.errors import VotesError
from labelmodel.votes import ABSTAIN
from labelmodel.voteset import VoteSet, numbered, positions

WRENCH_SPLITS = ("train", "valid", "test")


def read_wrench(path: str | Path, class_names: Sequence[str] | None = None) -> VoteSet:
    """Read a data set of the WRENCH benchmark.

    Parameters
    ----------
    path : str or Path
        A file `{id: {"label": int, "weak_labels": [int, ...], "data": ...}}`, or a folder of
        `train.json`, `valid.json` and `test.json`, those that are there. Their ids become
        `train/0`, `valid/0`, ...; -1 is abstain, and unknown as a label.
    class_names : sequence of str, optional
        By default those of `label.json` (`{"0": name}`) in the folder, else `0`, `1`, ...

    Returns
    -------
    VoteSet
        Sources are `lf0`, `lf1`, ...; texts and features in `data` are left behind.

    Raises
    ------
    VotesError
        No such file, or one whose content is something else; the message names file and id.

    Notes
    -----
    Source: Zhang et al., "WRENCH: a comprehensive benchmark for weak supervision", 2021.
    """
    source = Path(path)
    files = _wrench_files(source)
    ids: list[str] = []
    rows: list[list[int]] = []
    gold: list[int] = []
    for prefix, file in files:
        for key, label, votes in _wrench_records(file):
            if rows and len(votes) != len(rows[0]):
                raise VotesError(
                    f"{file}: record {key} has {len(votes)} weak labels, others {len(rows[0])}"
                )
            ids.append(prefix + key)
            rows.append(votes)
            gold.append(label)
    matrix = np.array(rows, dtype=np.int64).reshape(len(rows), len(rows[0]) if rows else 0)
    names = class_names if class_names is not None else _wrench_classes(source)
    highest = max(int(matrix.max(initial=-1)), max(gold, default=-1))
    return VoteSet(
        votes=sparse.csr_matrix((matrix + 1).astype(np.int32)),
        record_ids=tuple(ids),
        source_names=numbered("lf", matrix.shape[1]),
        class_names=numbered("", highest + 1) if names is None else tuple(names),
        gold=np.array(gold, dtype=np.int16),
    )


def _wrench_files(source: Path) -> list[tuple[str, Path]]:
    if not source.is_dir():
        return [("", source)]
    files = [(f"{split}/", source / f"{split}.json") for split in WRENCH_SPLITS]
    found = [(prefix, file) for prefix, file in files if file.is_file()]
    if not found:
        raise VotesError(f"{source} holds none of {', '.join(WRENCH_SPLITS)} as .json")
    return found


def _wrench_records(file: Path) -> Iterator[tuple[str, int, list[int]]]:
    document = _json_object(file)
    for key, record in document.items():
        try:
            label, votes = record.get("label", ABSTAIN), record["weak_labels"]
            numbers = [ABSTAIN if label is None else label, *votes]
        except (AttributeError, KeyError, TypeError) as error:
            raise VotesError(f"{file}: record {key} has no weak_labels: {error!r}") from error
        if not all(type(number) is int and number >= ABSTAIN for number in numbers):
            raise VotesError(f"{file}: record {key} has labels other than -1 and classes")
        yield key, numbers[0], numbers[1:]


def _wrench_classes(source: Path) -> list[str] | None:
    file = source / "label.json"
    if not source.is_dir() or not file.is_file():
        return None
    named = _json_object(file)
    try:
        return [str(named[str(number)]) for number in range(len(named))]
    except KeyError as error:
        raise VotesError(f"{file}: no name for class {error}") from error


# Any: the values of a JSON document before they are checked.
def _json_object(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VotesError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise VotesError(f"{file} holds a JSON {type(document).__name__}, not an object by id")
    return document


def write_wrench(votes: VoteSet, file: str | Path) -> None:
    """Write one WRENCH file, with `data` empty.

    Parameters
    ----------
    votes : VoteSet
    file : str or Path
    """
    document = {
        str(key): {"label": int(label), "weak_labels": row.tolist(), "data": {}}
        for key, label, row in zip(votes.record_ids, votes.gold, votes.dense(), strict=True)
    }
    Path(file).write_text(json.dumps(document), encoding="utf-8")


def read_mace(file: str | Path, control: str | Path | None = None) -> VoteSet:
    """Read the files of MACE.

    Parameters
    ----------
    file : str or Path
        CSV of one line for each item and one column for each annotator; an empty cell is no
        answer, and an empty line an item without any. No header.
    control : str or Path, optional
        One line for each item: its true label, or empty.

    Returns
    -------
    VoteSet
        Records are numbered from 0, sources are `a0`, `a1`, ...; classes sorted.

    Raises
    ------
    VotesError
        A file cannot be read, or lines of unlike numbers of columns or in unlike numbers.

    Notes
    -----
    Source: Hovy et al., "Learning whom to trust with MACE", 2013, and its README.
    """
    rows = _cells(Path(file))
    width = max((len(row) for row in rows), default=0)
    for number, row in enumerate(rows):
        if row and len(row) != width:
            raise VotesError(f"{file}: line {number + 1} has {len(row)} columns, others {width}")
    truth = [""] * len(rows)
    if control is not None:
        truth = [row[0].strip() if row else "" for row in _cells(Path(control))]
        if len(truth) != len(rows):
            raise VotesError(f"{control} has {len(truth)} lines for {len(rows)} items in {file}")
    answers = [
        (item, annotator, cell.strip())
        for item, row in enumerate(rows)
        for annotator, cell in enumerate(row)
        if cell.strip()
    ]
    class_names = tuple(
        sorted({cell for *_, cell in answers} | {label for label in truth if label})
    )
    of_class = positions(class_names)
    data = np.array([of_class[cell] + 1 for *_, cell in answers], dtype=np.int32)
    where: IntArray = np.array([answer[:2] for answer in answers], dtype=np.int64).reshape(-1, 2)
    return VoteSet(
        votes=sparse.csr_matrix((data, (where[:, 0], where[:, 1])), shape=(len(rows), width)),
        record_ids=tuple(range(len(rows))),
        source_names=numbered("a", width),
        class_names=class_names,
        gold=np.array([of_class.get(label, ABSTAIN) for label in truth], dtype=np.int16),
    )


def _cells(file: Path) -> list[list[str]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return list(csv.reader(lines))
    except (OSError, ValueError, csv.Error) as error:
        raise VotesError(f"{file} cannot be read as CSV: {error}") from error


def write_mace(votes: VoteSet, file: str | Path, control: str | Path | None = None) -> None:
    """Write the files of MACE; what `read_mace` reads.

    Parameters
    ----------
    votes : VoteSet
    file : str or Path
        Where the answers go.
    control : str or Path, optional
        Where gold goes.
    """
    names = [str(name) for name in votes.class_names]
    with Path(file).open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        for row in votes.dense():
            writer.writerow(["" if vote == ABSTAIN else names[vote] for vote in row])
    if control is not None:
        lines_of_gold = ("" if label == ABSTAIN else names[label] for label in votes.gold)
        text = "".join(f"{line}\n" for line in lines_of_gold)
        Path(control).write_text(text, encoding="utf-8")
