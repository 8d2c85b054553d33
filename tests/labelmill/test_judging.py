"""Sheets, forms, answers and the ledger of judgements."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from functools import partial

import pytest

from labelmill.errors import JobSpecError
from labelmill.judging.answers import read_answers
from labelmill.judging.forms import form_of
from labelmill.judging.ledger import Judgement, add_judgements, judgements_of, read_ledger
from labelmill.judging.sheet import Sheet, SheetRecord, find_sheet, write_sheet

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \u2028 \"' -->"


def sheet_of(*records: tuple[str, str], purpose: str = "judge") -> Sheet:
    made = tuple(SheetRecord(name, "random", {"text": text}, "ham", 0.9) for name, text in records)
    return Sheet(purpose, "mail", ("ham", "spam"), made)


@pytest.fixture
def drawn(tmp_path):
    sheet = sheet_of(("a", "hello"), ("b", "=1+1"), ("c", "cash"), ("=d", "x"))
    return sheet, write_sheet(sheet, form_of(sheet), tmp_path), tmp_path


def answer(folder, sheet, answers, /, **changes):
    content = {"schema": "labelmill-answers", "version": 1, "sheet": sheet.id, "judge": "Ann"}
    content |= {"minutes": 3, "answers": answers, **changes}
    path = folder / "answers.json"
    path.write_text(json.dumps(content))
    return read_answers(path, partial(find_sheet, folder=folder))


def test_sheet_comes_back_from_its_file(drawn):
    sheet, files, folder = drawn
    assert find_sheet(sheet.id, folder) == sheet
    assert files.form.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_hostile_text_is_data_in_the_form():
    page = form_of(sheet_of(("</script>", HOSTILE)))
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page
    assert "\u2028" not in page
    held = re.search(r'<script type="application/json" id="sheet">(.*?)</script>', page)
    assert json.loads(held[1])["records"][0]["values"]["text"] == HOSTILE


def test_form_has_no_address_and_allows_its_own_script_and_style_only():
    page = form_of(sheet_of(("a", "x")))
    assert not re.search(r"https?://|src=|href=", page)
    for tag in ("style", "script"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_csv_of_a_sheet_is_inert_and_its_answers_find_their_records(drawn):
    _, files, folder = drawn
    rows = list(csv.DictReader(io.StringIO(files.csv.read_text(encoding="utf-8"))))
    assert [row["text"] for row in rows] == ["hello", "'=1+1", "cash", "x"]
    filled = [
        dict(row, label=label) for row, label in zip(rows, ["ham", "", "?", "spam"], strict=True)
    ]
    with (folder / "filled.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(filled)
    answers = read_answers(folder / "filled.csv", partial(find_sheet, folder=folder), judge="Bo")
    assert answers.labels == {"a": "ham", "=d": "spam"}
    assert answers.unsure == {"c"}
    assert (answers.missing, answers.judge) == (1, "Bo")


def test_answers_become_judgements_with_their_share_of_the_time(drawn):
    sheet, _, folder = drawn
    given = [{"id": "a", "label": "ham"}, {"id": "c", "label": "spam"}, {"id": "b", "label": None}]
    answers = answer(folder, sheet, given)
    assert judgements_of(answers, "fit") == [
        Judgement("a", "ham", "fit", "random", "Ann", 1.0, sheet.id),
        Judgement("c", "spam", "fit", "random", "Ann", 1.0, sheet.id),
    ]


@pytest.mark.parametrize(
    ("answers", "changes", "message"),
    [
        ([{"id": "z", "label": "ham"}], {}, "record 'z' is not on sheet"),
        ([{"id": ["a"], "label": "ham"}], {}, "is not on sheet"),
        ([{"id": "a", "label": "hma"}], {}, "did you mean 'ham'"),
        ([{"id": "a", "label": 1}], {}, "is no class"),
        ([{"id": "a", "label": "ham"}, {"id": "a", "label": "spam"}], {}, "'spam' here and 'ham'"),
        ([{"id": "a", "label": "ham"}, {"id": "a", "label": None}], {}, "not sure as well"),
        ([], {"sheet": "0123456789"}, "no sheet '0123456789'"),
        ([], {"sheet": "../../x"}, "no sheet"),
        ([], {"version": 2}, "version 2"),
        ([], {"schema": "other"}, "no answers"),
        ([], {"minutes": "ten"}, "number of minutes"),
        ("none", {}, "not a list"),
    ],
)
def test_answers_that_do_not_fit_are_refused(drawn, answers, changes, message):
    sheet, _, folder = drawn
    with pytest.raises(JobSpecError, match=re.escape(message)):
        answer(folder, sheet, answers, **changes)


def test_ledger_keeps_what_it_has_and_refuses_contradictions(tmp_path):
    path = tmp_path / "deep" / "judgements.jsonl"
    first = Judgement("a", "ham", "fit", "random", "Ann")
    assert add_judgements(path, [first]).new == 1
    assert add_judgements(path, [first]).known == 1
    with pytest.raises(JobSpecError, match="judged 'ham' by Ann before, now 'spam'"):
        add_judgements(path, [Judgement("a", "spam", "fit", "random")])
    with pytest.raises(JobSpecError, match="never both"):
        add_judgements(path, [Judgement("a", "ham", "eval", "random")])
    assert read_ledger(path) == [first]
    second = Judgement("a", "spam", "fit", "uncertain", "Bo")
    assert add_judgements(path, [second], replace=True).replaced == 1
    assert read_ledger(path) == [second]


def test_broken_ledger_is_named_with_its_line(tmp_path):
    path = tmp_path / "judgements.jsonl"
    path.write_text('{"id": "a"}\n')
    with pytest.raises(JobSpecError, match=r"judgements.jsonl:1: no judgement"):
        read_ledger(path)
