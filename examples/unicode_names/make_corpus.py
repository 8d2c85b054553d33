"""Write the corpus of this example: the names of Unicode's characters, with their class as gold.

Everything comes from Python's own ``unicodedata``, so nothing is downloaded, and one Python
version writes the same bytes every time. Characters whose names are catalogue numbers rather than
words are left out: nobody can tell what they are by reading them.
"""

from __future__ import annotations

import argparse
import re
import sys
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CLASSES = {"L": "letter", "M": "mark", "N": "number", "P": "punctuation", "S": "symbol"}
"""Class of a character by the first letter of its general category; others are left out."""

MACHINE_NUMBERED = re.compile(r"[0-9]|IDEOGRAPH-|^HANGUL SYLLABLE ")
"""Names that a program made: a digit, the code point itself, or a Hangul syllable's spelling."""

SCHEMA = pa.schema([(name, pa.string()) for name in ("codepoint", "name", "gold")])


def named_characters() -> Iterator[dict[str, str]]:
    """Yield one record for each character that has a class and a name made of words."""
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        name = unicodedata.name(character, "")
        gold = CLASSES.get(unicodedata.category(character)[0])
        if name and gold and not MACHINE_NUMBERED.search(name):
            yield {"codepoint": f"U+{number:04X}", "name": name, "gold": gold}


def write_corpus(folder: Path, n_files: int) -> int:
    """Write the records to ``names-<i>.parquet`` in `folder`, in runs of equal length.

    Returns:
        The number of records written.
    """
    table = pa.Table.from_pylist(list(named_characters()), schema=SCHEMA)
    folder.mkdir(parents=True, exist_ok=True)
    bounds = [table.num_rows * i // n_files for i in range(n_files + 1)]
    for i, (start, stop) in enumerate(pairwise(bounds)):
        pq.write_table(table.slice(start, stop - start), folder / f"names-{i}.parquet")
    return table.num_rows


def main() -> None:
    """Read the arguments, write the files and say how much was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent / "data",
        help="folder for the Parquet files (default: data/ beside this script)",
    )
    parser.add_argument("--files", type=int, default=4, help="number of files (default: 4)")
    args = parser.parse_args()
    if args.files < 1:
        parser.error(f"--files must be at least 1, not {args.files}")
    n_rows = write_corpus(args.out, args.files)
    print(
        f"{n_rows:,} names of Unicode {unicodedata.unidata_version}"
        f" in {args.files} files under {args.out}"
    )


if __name__ == "__main__":
    main()
