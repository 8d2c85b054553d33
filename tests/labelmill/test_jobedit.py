"""Adding to job files: nothing of what was there changes."""

from __future__ import annotations

import pytest
import yaml

from labelmill.errors import JobSpecError
from labelmill.jobedit import add_functions, add_section, flow

ENTRY = {"keywords": {"name": "money", "label": "spam", "words": ["cash", "free prize"]}}
REGEX = {"regex": {"name": "r", "label": "yes", "pattern": r"\b(a|'b')\W+\d{2,}\b"}}

BLOCK = """\
# a job
name: mail   # its name
lfs:
    # files
    - lfs.py          # by hand
    - regex:
        name: link
        label: spam
        pattern: 'https?://'   # any

    # the end of them
output: {uri: out/}   # where
"""
FLOW = "lfs: [lfs.py,\n  {keywords: {name: a, label: b, words: [c]}}]  # all\noutput: {uri: o}\n"


@pytest.mark.parametrize(
    "text", [BLOCK, FLOW, "lfs:\n- lfs.py", "lfs: [a.py, ]\n", "lfs:\n- >\n  a.py\nx: 1\n"]
)
def test_functions_are_added_and_every_line_stays(text):
    changed = add_functions(text, [ENTRY, REGEX])
    before, after = yaml.safe_load(text), yaml.safe_load(changed)
    assert after == {**before, "lfs": [*before["lfs"], ENTRY, REGEX]}
    for line in text.splitlines():
        assert line.partition("]")[0].rstrip(", ") in changed
    for comment in ("# files", "# by hand", "# any", "# the end of them", "# where", "# all"):
        assert (comment in changed) == (comment in text)


def test_block_entries_follow_the_last_one_with_its_indentation():
    lines = add_functions(BLOCK, [ENTRY]).splitlines()
    place = next(n for n, line in enumerate(lines) if "money" in line)
    assert lines[place] == ("    - keywords: {name: money, label: spam, words: [cash, free prize]}")
    assert lines[place - 1].endswith("# any")


def test_lists_that_cannot_be_added_to_are_said_so():
    with pytest.raises(JobSpecError, match="no list"):
        add_functions("lfs: lfs.py\n", [ENTRY])
    with pytest.raises(JobSpecError, match="no list"):
        add_functions("name: x\n", [ENTRY])


@pytest.mark.parametrize(
    "value",
    ["yes", "1", "", " a", "-x", "a: b", "#c", "é", "1e3", "null", "a\nb", "'", '"', r"\d'"],
)
def test_text_stays_text(value):
    assert yaml.safe_load(flow({"v": [value]})) == {"v": [value]}


def test_section_is_added_at_the_end():
    assert add_section("name: x", "gold", {"uri": "j.jsonl", "column": "label"}) == (
        'name: x\ngold: {uri: "j.jsonl", column: label}\n'
    )
