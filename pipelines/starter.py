"""What `labelmill init` writes: a job that runs as it is, small enough to read in a minute."""

from __future__ import annotations

from pathlib import Path

from labelmill.errors import JobSpecError

JOB = """\
# A labeling job. `labelmill schema` prints everything that may stand here.
name: my-labels

input:
  uri: data/*.jsonl          # parquet, jsonl or csv; files, globs, folders; any fsspec URL
  id: id                     # names a record; without it ids are <file>#<row>

labels: [ham, spam]

lfs:
  - lfs.py                   # Python functions
  - keywords: {name: money, label: spam, words: [cash, prize, "click here"]}

# gold: {column: gold}       # hand labels, if there are some: they only score the result

output:
  uri: out/
"""

LFS = '''\
"""Labeling functions: each says what it thinks of a record, or abstains."""

from labelmill import ABSTAIN, labeling_function, regex

link = regex("link", label="spam", pattern=r"https?://|www\\.")


@labeling_function()
def shouting(x):
    letters = [c for c in x.text if c.isalpha()]
    return "spam" if letters and sum(map(str.isupper, letters)) > 0.6 * len(letters) else ABSTAIN


@labeling_function()
def short_and_plain(x):
    return "ham" if len(x.text) < 40 and "!" not in x.text else ABSTAIN
'''

DATA = """\
{"id": "1", "text": "Are we still on for lunch tomorrow?"}
{"id": "2", "text": "WIN A PRIZE NOW http://example.com"}
{"id": "3", "text": "I will be ten minutes late"}
{"id": "4", "text": "Free cash!!! click here www.example.com"}
{"id": "5", "text": "Thanks, see you on Monday"}
{"id": "6", "text": "CONGRATULATIONS! YOU WON A CASH PRIZE"}
{"id": "7", "text": "Could you send me the minutes of the meeting when you have a moment, please?"}
{"id": "8", "text": "Ok"}
"""


def write_starter(folder: Path) -> list[Path]:
    """Write a starter job.

    Args:
        folder: Where to; made when it is not there.

    Returns:
        The files written.

    Raises:
        JobSpecError: One of them exists already; nothing is written.
    """
    files = {
        folder / "job.yaml": JOB,
        folder / "lfs.py": LFS,
        folder / "data" / "messages.jsonl": DATA,
    }
    for path in files:
        if path.exists():
            raise JobSpecError(f"{path} exists already; `labelmill init FOLDER` starts elsewhere")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)
