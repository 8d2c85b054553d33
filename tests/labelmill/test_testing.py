"""The helpers for tests of labeling functions, as their user sees them pass and fail."""

from __future__ import annotations

import re
import subprocess
import sys
import traceback
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from labelmill import ABSTAIN, keywords, labeling_function, regex
from labelmill.errors import LabelingFunctionError
from labelmill.testing import FunctionFailedError, check, load_functions, votes

LABELS = ["ham", "spam"]
PAGE = Path(__file__).parents[2] / "docs" / "howto" / "write-and-test-functions.md"

money = keywords("money", label="spam", words=["cash", "free prize"])


@labeling_function()
def short(x):
    return 0 if len(x.text) < 5 else None


@labeling_function(batch=True)
def short_batch(batch):
    return [0 if len(text) < 5 else -1 for text in batch["text"].to_pylist()]


def lowered(x):
    x.lower = x.text.lower()
    return x


@labeling_function(pre=[lowered], resources={"wanted": "dear"})
def polite(x, wanted):
    return "ham" if x.lower.startswith(wanted) else ABSTAIN


def test_votes_are_class_names_and_none():
    assert votes(money, ["free CASH", "cashier", None], LABELS) == ["spam", None, None]
    assert votes(short, ["hi", "longer"], LABELS) == ["ham", None]
    assert votes(money, [], LABELS) == []


@pytest.mark.parametrize("lf", [short, short_batch])
def test_every_kind_of_function_runs_as_a_job_runs_it(lf):
    assert votes(lf, ["hi", "longer"], LABELS) == ["ham", None]


def test_preprocessors_and_resources_are_used():
    assert votes(polite, ["DEAR you", "hi"], LABELS) == ["ham", None]


@pytest.mark.parametrize(
    "form",
    [
        lambda rows: rows,
        lambda rows: (row for row in rows),
        pa.RecordBatch.from_pylist,
        pa.Table.from_pylist,
        lambda rows: pa.concat_tables([pa.Table.from_pylist([row]) for row in rows]),
        pd.DataFrame,
    ],
)
def test_records_come_in_any_form(form):
    rows = [{"text": "cash", "n": 1}, {"text": "hi", "n": 2}]

    assert votes(money, form(rows), LABELS) == ["spam", None]


def test_columns_are_those_of_all_records_and_missing_ones_are_null():
    @labeling_function()
    def replied(x):
        return "ham" if x.reply is not None else ABSTAIN

    assert votes(replied, [{"text": "a"}, {"text": "b", "reply": "c"}], LABELS) == [None, "ham"]


def test_texts_go_to_the_one_column_that_the_function_reads():
    title = regex("title", label="spam", pattern="!!", field="title")

    assert votes(title, ["buy!!", "news"], LABELS) == ["spam", None]
    assert votes(title, [{"title": "buy!!", "text": "x"}], LABELS) == ["spam"]


def test_fault_names_function_record_and_reason_with_its_cause():
    with pytest.raises(FunctionFailedError) as caught:
        votes(short, ["hi", None], LABELS)

    message = str(caught.value)
    assert "labeling function 'short' raised TypeError: object of type 'NoneType'" in message
    assert "on record 1: text=None" in message
    assert isinstance(caught.value.__cause__, TypeError)
    assert traceback.extract_tb(caught.value.__cause__.__traceback__)[-1].name == "short"
    assert isinstance(caught.value, AssertionError)


def test_fault_of_a_batch_function_has_its_cause():
    with pytest.raises(FunctionFailedError, match="on record 2") as caught:
        votes(short_batch, ["hi", "longer", None], LABELS)

    assert isinstance(caught.value.__cause__, TypeError)


def test_invalid_result_is_an_error():
    @labeling_function()
    def seven(x):
        return 7 if "7" in x.text else None

    with pytest.raises(FunctionFailedError, match=r"returned 7, which is no class.*record 1"):
        votes(seven, ["6", "7"], LABELS)


def test_check_passes_when_all_votes_are_as_expected():
    check(money, {"spam": ["cash"], None: ["cashier"]}, LABELS)
    check(money, {1: ["cash"], ABSTAIN: ["cashier"]}, LABELS)


def test_check_lists_every_record_that_got_another_vote():
    with pytest.raises(AssertionError) as caught:
        check(short, {"spam": ["hi", "there"], None: ["hi", "longer", None]}, LABELS)

    assert str(caught.value).splitlines() == [
        "labeling function 'short': 4 of 5 votes are not as expected",
        "  expected spam, got ham: text='hi'",
        "  expected spam, abstained: text='there'",
        "  expected an abstain, got ham: text='hi'",
        "  expected an abstain, raised TypeError: object of type 'NoneType' has no len(): "
        "text=None",
    ]
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: votes(money, "cash", LABELS), "put it in a list"),
        (lambda: votes(money, [1], LABELS), "must be a text, None or a mapping"),
        (lambda: votes(money, [{"a": 1}, {"a": "x"}], LABELS), "column 'a'"),
        (lambda: votes(money, ["cash"], "spam"), "must be a list of class names"),
        (lambda: check(money, {"spma": ["cash"]}, LABELS), "'spma' is no class"),
        (lambda: votes(money, ["cash"], ["a", "b"]), "votes for 'spam'"),
    ],
)
def test_wrong_use_says_what_to_give(call, message):
    with pytest.raises(LabelingFunctionError, match=message):
        call()


def test_functions_of_a_job_are_there_by_name_with_its_classes(make_job):
    declared = {"keywords": {"name": "yaml", "label": "spam", "words": ["offer"]}}
    job = load_functions(make_job(lfs=["lfs.py", declared]))

    assert list(job) == ["money", "win", "friendly", "short", "free", "yaml"]
    assert job.labels == ("ham", "spam")
    assert job.votes("yaml", ["an offer", "coffers"]) == ["spam", None]
    job.check("short", {"ham": ["hi"], None: ["a long message"]})
    assert votes(job["money"], ["cash"], job.labels) == ["spam"]
    with pytest.raises(KeyError, match="did you mean 'money'"):
        job.votes("mony", ["cash"])


def test_page_on_testing_shows_code_that_works(tmp_path, monkeypatch):
    text = PAGE.read_text(encoding="utf-8")
    (job,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    lfs, tests, apart = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "job.yaml").write_text(job)
    (tmp_path / "lfs.py").write_text(lfs)
    namespace = {"__file__": str(tmp_path / "test_lfs.py")}

    exec(tests, namespace)
    found = [value for name, value in namespace.items() if name.startswith("test_")]
    for test in found:
        test()
    exec(apart, {})

    assert len(found) == 3


def test_importing_it_imports_neither_pytest_nor_beam():
    code = (
        "import sys, labelmill.testing\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(loaded & {'pytest', '_pytest', 'apache_beam', 'pipelines', 'labelmodel'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "set()"
