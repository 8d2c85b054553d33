"""What was suggested last, and what people struck out, as files beside the job."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmill.errors import JobSpecError
from labelmill.suggestion import did_you_mean

LAST = "suggestions.json"
STRUCK = "struck-out.jsonl"
VERSION = 1


@dataclass(frozen=True)
class Noted:
    """A suggestion as it is kept.

    Attributes:
        number: Its number on the screen.
        shown: What it looks for, in words.
        label: Class that it votes for.
        entry: Its entry of `lfs`.
    """

    number: int
    shown: str
    label: str
    entry: dict[str, Any]


def write_last(folder: Path, noted: Sequence[Noted]) -> None:
    """Keep the suggestions that were shown."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"version": VERSION, "suggestions": [vars(one) for one in noted]}
    (folder / LAST).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def read_last(folder: Path) -> list[Noted]:
    """Return the suggestions that were shown last.

    Raises:
        JobSpecError: There are none.
    """
    try:
        content = json.loads((folder / LAST).read_text(encoding="utf-8"))
        return [Noted(**one) for one in content["suggestions"]]
    except FileNotFoundError:
        raise JobSpecError(
            "nothing was suggested for this job yet; `labelmill suggest JOB` shows suggestions"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise JobSpecError(f"{folder / LAST}: cannot be read: {error}; suggest again") from error


def picked(noted: Sequence[Noted], given: str, option: str) -> list[Noted]:
    """Return the suggestions that an option names: ``all``, or numbers such as ``1,3-5``.

    Raises:
        JobSpecError: A number is none of theirs.
    """
    if given == "all":
        return list(noted)
    by_number = {str(one.number): one for one in noted}
    wanted: list[str] = []
    for part in given.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if dash and first.isdecimal() and last.isdecimal() and int(last) - int(first) < 1000:
            wanted += [str(n) for n in range(int(first), int(last) + 1)]
        else:
            wanted.append(part)
    for number in wanted:
        if number not in by_number:
            hint = did_you_mean(number, by_number, f"there are {', '.join(by_number) or 'none'}")
            raise JobSpecError(f"{option} {given}: no suggestion {number!r}{hint}")
    return [by_number[number] for number in dict.fromkeys(wanted)]


def read_struck(folder: Path) -> set[tuple[str, str]]:
    """Return what was struck out, as (what it looks for, class)."""
    path = folder / STRUCK
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines if line.strip()]
    return {(one["shown"], one["label"]) for one in found}


def strike_out(folder: Path, noted: Iterable[Noted]) -> None:
    """Remember suggestions that are not to come again."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / STRUCK).open("a", encoding="utf-8") as file:
        for one in noted:
            file.write(json.dumps({"shown": one.shown, "label": one.label}, ensure_ascii=False))
            file.write("\n")


def drop_from_last(folder: Path, gone: Sequence[Noted]) -> None:
    """Take suggestions out of those that were shown last; the others keep their numbers."""
    numbers = {one.number for one in gone}
    write_last(folder, [one for one in read_last(folder) if one.number not in numbers])
