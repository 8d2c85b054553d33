"""`labelmill audit` from the command line: what is drawn, what is refused, what others see."""

from __future__ import annotations

import csv
import datetime
import json
import os
import shutil
from pathlib import Path

import pytest

import labelmill
from labelmill.audits import effort, latest_audit
from labelmill.judging.ledger import read_ledger
from labelmill.retention import clean_up, plan_cleanup
from labelmill.store import Store
from labelmill.versions import read_manifest
from pipelines.cli import _main as labelmill_command

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> [bold]\x1b[31m"
JOB = """\
name: numbers
input: {uri: numbers.jsonl, id: key}
labels: [even, odd]
lfs:
  - keywords: {name: ev, label: even, words: [two, four, six, eight, zero]}
  - keywords: {name: od, label: odd, words: [one, three, five, seven]}
  - keywords: {name: all, label: even, words: [nine]}
output: {uri: out}
"""
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def truth(key: str) -> str:
    return ("even", "odd")[int(key[1:]) % 2]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A job with one version; nobody judged anything yet."""
    folder = tmp_path_factory.mktemp("audit")
    with (folder / "numbers.jsonl").open("w") as file:
        for i in range(600):
            text = f"the number {' '.join(DIGITS[int(d)] for d in str(i))}"
            hostile = f"{text} {HOSTILE}" if i % 3 == 0 else text
            row = {"key": f"k{i}", "text": hostile, "third": i % 3 == 0, "size": i}
            file.write(json.dumps(row) + "\n")
    (folder / "job.yaml").write_text(JOB)
    assert labelmill_command(["run", str(folder / "job.yaml")]) == 0
    return folder


@pytest.fixture
def folder(published, tmp_path, monkeypatch):
    """A copy of it to work in."""
    shutil.copytree(published, tmp_path / "job")
    monkeypatch.chdir(tmp_path / "job")
    return tmp_path / "job"


def call(capfd, *arguments) -> tuple[int, str, str]:
    capfd.readouterr()
    code = labelmill_command([str(argument) for argument in arguments])
    return code, *capfd.readouterr()


def drawn(capfd, *arguments):
    code, out, err = call(capfd, "audit", "draw", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def refused(capfd, *arguments) -> str:
    code, out, err = call(capfd, "audit", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def judged(form, *wrong, name="ann", **changes) -> dict:
    with Path(form["csv"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    other = {"even": "odd", "odd": "even"}
    said = {row["id"]: truth(row["id"]) for row in rows}
    answers = [{"id": i, "label": other[t] if i in wrong else t} for i, t in said.items()]
    content = {"schema": "labelmill-answers", "version": 1, "sheet": rows[0]["sheet"]}
    return {**content, "judge": name, "minutes": 6, "answers": answers, **changes}


def write(folder, content, name="a.json"):
    (folder / name).write_text(json.dumps(content))
    return folder / name


def test_draw_is_of_labels_and_probabilities_are_stored(folder, capfd):
    found = drawn(capfd, "out", "-n", 60)
    labels = {r["id"]: r for r in labelmill.open_labels("out").to_table().to_pylist()}
    assert len({r["id"] for r in found["records"]}) == 60
    assert sum(s["size"] for s in found["strata"]) == 600
    for record in found["records"]:
        stratum = found["strata"][record["stratum"]]
        assert labels[record["id"]]["label"] == record["predicted"]
        assert stratum["low"] <= record["confidence"] <= stratum["high"]
    assert found["model_digest"] == read_manifest(Store.open("out")).model_digest
    (stored,) = (folder / "out/_labelmill/audits/00000001").glob("*/draw.json")
    assert stored.parent.name == found["id"]
    assert HOSTILE[:9] not in stored.read_text()


def test_every_draw_is_another_and_a_seed_repeats_it(folder, capfd):
    ids = [
        [r["id"] for r in drawn(capfd, "out", "-n", 60, *seed)["records"]]
        for seed in ([], [], ["--seed", 7], ["--seed", 7])
    ]
    assert ids[0] != ids[1]
    assert ids[2] == ids[3]


def test_hostile_text_is_inert_in_form_and_table_and_the_label_is_not_there(folder, capfd):
    found = drawn(capfd, "out", "-n", 60)
    page = Path(found["forms"][0]["form"]).read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page
    held = json.loads(page.split('id="sheet">')[1].split("</script>")[0])
    assert all(record["predicted"] is None for record in held["records"])
    assert any(HOSTILE in record["values"]["text"] for record in held["records"])
    shown = drawn(capfd, "out", "-n", 60, "--show-label")
    page = Path(shown["forms"][0]["form"]).read_text(encoding="utf-8")
    held = json.loads(page.split('id="sheet">')[1].split("</script>")[0])
    assert {record["predicted"] for record in held["records"]} <= {"even", "odd"}


def test_auditors_share_the_overlap_and_split_the_rest(folder, capfd):
    found = drawn(capfd, "out", "-n", 61, "--auditors", "ann, bo,cy", "--overlap", 0.2)
    sheets = []
    for form in found["forms"]:
        assert form["auditor"] in form["form"]
        with Path(form["csv"]).open(newline="") as file:
            sheets.append({row["id"] for row in csv.DictReader(file)})
    common = set.intersection(*sheets)
    assert len(common) == 12
    assert len(set.union(*sheets)) == 61
    assert sum(len(sheet - common) for sheet in sheets) == 49


def test_records_judged_for_the_fit_are_never_drawn(folder, capfd):
    ledger = folder / "judging" / "numbers" / "judgements.jsonl"
    ledger.parent.mkdir(parents=True)
    roles = {f"k{i}": "fit" if i < 500 else "eval" for i in range(520)}
    ledger.write_text(
        "".join(
            json.dumps({"id": i, "label": truth(i), "role": role, "chosen": "uncertain"}) + "\n"
            for i, role in roles.items()
        )
    )
    gold = 'gold: {uri: "judging/numbers/judgements.jsonl", column: label, role: role}\n'
    (folder / "job.yaml").write_text(JOB + gold)
    found = drawn(capfd, "job.yaml", "-n", 100)  # the version knows nothing of them yet
    assert {roles.get(r["id"]) for r in found["records"]} == {"eval", None}
    assert found["left_out"] == {"judged for the fit": 500}
    assert call(capfd, "run", "job.yaml")[0] == 0
    found = drawn(capfd, "out", "-n", 100)
    assert found["version"] == 2
    assert {roles.get(r["id"]) for r in found["records"]} == {"eval", None}
    spent = effort(Store.open("out"), read_manifest(Store.open("out")))
    assert (spent.fit, spent.eval, spent.audit) == (500, 20, 0)


def test_by_class_gives_rare_classes_more_than_their_share(folder, capfd):
    found = drawn(capfd, "out", "-n", 100, "--by", "class")
    assert {s["group"] for s in found["strata"]} == {"even", "odd"}
    for record in found["records"]:
        assert found["strata"][record["stratum"]]["group"] == record["predicted"]


def test_number_follows_from_the_interval(folder, capfd):
    wide, narrow = (len(drawn(capfd, "out", "--interval", w)["records"]) for w in (0.1, 0.05))
    assert 20 <= wide < narrow < 600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", 5], "5 records cannot be drawn"),
        (["-n", 601], "take from 20 to 600"),
        (["-n", 50, "--interval", 0.1], "give one"),
        (["--column", "txt"], "no column 'txt' to show; did you mean 'text'?"),
        (["--by", "slice"], "--by slice and --slice COLUMN go together"),
        (["--by", "slice", "--slice", "size"], "more than 50 values"),
        (["--by", "slice", "--slice", "thirds"], "did you mean 'third'?"),
        (["--auditors", "ann,Ann"], "names differ"),
        (["--auditors", "ann,"], "names differ and are not empty"),
    ],
)
def test_impossible_draws_are_refused_and_leave_nothing(folder, capfd, arguments, message):
    assert message in refused(capfd, "draw", "out", *arguments)
    assert not list(folder.glob("out/_labelmill/audits/*"))


def test_version_that_is_not_there_is_named(folder, capfd):
    code, _, err = call(capfd, "audit", "draw", "out", "--version", 9)
    assert code == 1
    assert "no version 9" in err


def test_answers_become_the_accuracy_of_the_version(folder, capfd):
    form = drawn(capfd, "job.yaml", "-n", 300)["forms"][0]
    code, out, err = call(capfd, "audit", "read", "job.yaml", write(folder, judged(form)))
    assert code == 0, err
    found = latest_audit(Store.open("out"), 1)
    assert found is not None
    rows = labelmill.open_labels("out").to_table().to_pylist()
    actual = sum(row["label"] == truth(row["id"]) for row in rows) / len(rows)
    assert found.low <= actual <= found.high
    assert f"{found.accuracy:.1%}" in out
    for one in found.per_class:
        labeled = [row for row in rows if row["label"] == one.name]
        right = sum(truth(row["id"]) == one.name for row in labeled)
        assert one.precision_low <= right / len(labeled) <= one.precision_high
        assert one.recall_low <= right / 300 <= one.recall_high
    assert f"{found.low:.1%} to {found.high:.1%}" in call(capfd, "history", "out")[1]
    shown = json.loads(call(capfd, "audit", "show", "out", "--json")[1])
    assert shown["effort"]["labels_per_judgement"] == 2
    assert shown["effort"]["audit_minutes"] == 6
    code, out, _ = call(capfd, "audit", "read", "out", folder / "a.json")
    assert code == 0
    assert "nothing new" in out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sheet": "0123456789"}, "no audit with a sheet '0123456789'"),
        ({"sheet": "../../x"}, "no audit with a sheet"),
        ({"sheet": None}, "no audit with a sheet 'None'"),
        ({"answers": [{"id": "k9999", "label": "odd"}]}, "'k9999' is not on sheet"),
        ({"answers": [{"id": "ID", "label": "evne"}]}, "'evne' is no class; did you mean 'even'?"),
        ({"answers": [{"id": "ID", "label": "odd"}, {"id": "ID", "label": "even"}]}, "before"),
        ({"answers": []}, "nothing can be estimated"),
        ({"judge": "Zoe"}, "was drawn for 'ann', and 'Zoe' answered it"),
        ({"minutes": "x"}, "minutes is 'x'"),
        ({"schema": "x"}, "no answers"),
    ],
)
def test_wrong_answers_are_refused_and_nothing_is_stored(folder, capfd, changes, message):
    form = drawn(capfd, "out", "-n", 40, "--auditors", "ann,bo")["forms"][0]
    content = judged(form)
    first = content["answers"][0]["id"]
    text = json.dumps({**content, **changes}).replace('"ID"', json.dumps(first))
    (folder / "a.json").write_text(text)
    assert message in refused(capfd, "read", "job.yaml", "a.json", "--as", "eval")
    assert not list(folder.glob("out/_labelmill/audits/*/*/result-*"))
    assert not list(folder.glob("judging/*/judgements.jsonl"))


def test_files_of_one_sheet_or_of_two_draws_are_refused(folder, capfd):
    forms = [drawn(capfd, "out", "-n", 40)["forms"][0] for _ in range(2)]
    a, b = (write(folder, judged(form), f"{n}.json") for n, form in enumerate(forms))
    copy = write(folder, judged(forms[0]), "copy.json")
    assert "both answer sheet" in refused(capfd, "read", "out", a, copy)
    assert "answer different draws" in refused(capfd, "read", "out", a, b)


def test_csv_of_a_sheet_may_be_filled_in_partly(folder, capfd):
    form = drawn(capfd, "out", "-n", 40)["forms"][0]
    with Path(form["csv"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:30]:
        row["label"] = truth(row["id"])
    rows[30]["label"] = "?"
    with Path("filled.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    code, out, err = call(capfd, "audit", "read", "out", "filled.csv", "--auditor", "Bo")
    assert code == 0, err
    assert "30 of 40 records judged" in out
    assert "9 without an answer and 1 of which nobody was sure; if these are the hard ones" in out
    found = latest_audit(Store.open("out"), 1)
    assert found is not None
    assert (found.auditors, found.minutes) == (("Bo",), None)


def test_disagreements_are_settled_by_a_further_form(folder, capfd):
    found = drawn(capfd, "job.yaml", "-n", 40, "--auditors", "ann,bo", "--overlap", 1)
    wrong = [record["id"] for record in found["records"][:3]]
    paths = [
        write(folder, judged(form, *wrong[:n], name=form["auditor"]), f"{form['auditor']}.json")
        for n, form in zip((1, 3), found["forms"], strict=True)
    ]
    code, out, err = call(capfd, "audit", "read", "job.yaml", *paths, "--json")
    assert code == 0, err
    form = json.loads(out)["adjudicate"]
    with Path(form["csv"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows} == set(wrong[1:])  # on the first both are wrong
    assert {row["what the auditors said"] for row in rows} == {"even, odd"}
    settled = write(folder, judged(form, name="Cy"), "cy.json")
    code, out, err = call(capfd, "audit", "read", "job.yaml", settled, "--as", "eval")
    assert code == 0, err
    assert "answers differ on 2, 0 not settled" in out
    assert "bo: wrong on 2 of 40" in out
    ledger = {one.id: one for one in read_ledger(folder / "judging/numbers/judgements.jsonl")}
    assert len(ledger) == 40
    assert {one.role for one in ledger.values()} == {"eval"}
    assert {one.chosen for one in ledger.values()} == {"audit"}
    assert [ledger[i].label == truth(i) for i in wrong] == [False, True, True]
    assert "never both" in refused(capfd, "read", "job.yaml", settled, "--as", "fit")
    code, out, _ = call(capfd, "audit", "show", "job.yaml")
    assert "82 judgements: 82 in audits (18 minutes)" in out  # none of them twice


def test_gold_goes_to_a_job_only(folder, capfd):
    form = drawn(capfd, "out", "-n", 40)["forms"][0]
    path = write(folder, judged(form))
    assert "name the job file" in refused(capfd, "read", "out", path, "--as", "fit")


def test_audited_records_that_inform_the_fit_are_not_drawn_again(folder, capfd):
    form = drawn(capfd, "job.yaml", "-n", 300)["forms"][0]
    path = write(folder, judged(form))
    code, _, err = call(capfd, "audit", "read", "job.yaml", path, "--as", "fit")
    assert code == 0, err
    used = {one.id for one in read_ledger(folder / "judging/numbers/judgements.jsonl")}
    again = drawn(capfd, "job.yaml", "-n", 300)
    assert len(used) == 300
    assert used.isdisjoint(r["id"] for r in again["records"])


def test_gate_stops_what_follows_a_bad_audit(folder, capfd):
    form = drawn(capfd, "out", "-n", 60)["forms"][0]
    assert call(capfd, "audit", "read", "out", write(folder, judged(form)))[0] == 0
    gates = "gates: {max_vote_shift: 1, max_label_shift: 1, min_audit_accuracy: 0.99}\n"
    (folder / "job.yaml").write_text(JOB.replace("[nine]", "[nine, zero]") + gates)
    code, _, err = call(capfd, "run", "job.yaml")
    assert code == 3, err
    assert "gate audit_accuracy: an audit found that version 1" in err
    assert call(capfd, "run", "job.yaml", "--accept", "audit_accuracy")[0] == 0
    code, _, err = call(capfd, "run", "job.yaml", "--full", "--set", "model.name=majority_vote")
    assert code == 0, err  # version 2 was not audited


def test_clean_up_keeps_audits_of_versions_that_go_too(folder, capfd):
    form = drawn(capfd, "out", "-n", 60)["forms"][0]
    path = write(folder, judged(form))
    assert call(capfd, "audit", "read", "out", path)[0] == 0
    assert call(capfd, "run", "job.yaml", "--set", "model.name=majority_vote")[0] == 0
    store = Store.open("out")
    for file in (folder / "out").rglob("*"):
        os.utime(file, (1e9, 1e9))
    clean_up(store, plan_cleanup(store, 1, min_age=datetime.timedelta(0)))
    assert latest_audit(store, 1) is not None
    assert call(capfd, "audit", "read", "out", path)[0] == 0  # still readable


def test_corpus_that_is_gone_is_an_error_that_names_it(folder, capfd):
    assert call(capfd, "run", "job.yaml", "--full", "--set", "model.name=majority_vote")[0] == 0
    (folder / "numbers.jsonl").unlink()
    code, _, err = call(capfd, "audit", "draw", "out", "-n", 40)
    assert code == 2
    assert "numbers.jsonl" in err
