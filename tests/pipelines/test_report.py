"""The report of real versions, read as HTML: what it says, and that nothing in it does anything."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hostile_job import attacks, write_hostile_job
from message_job import write_job

from labelmill.report.content import Interval
from labelmill.report.page import render
from labelmill.report.shown import excerpt, shown
from labelmill.store import Store
from labelmill.versions import read_manifest
from pipelines.cli import _main as labelmill_command
from pipelines.lf_pairs import find_pairs
from pipelines.reporting import build_report
from pipelines.reporting_counts import spread
from pipelines.reporting_functions import drifts_of, learned_interval
from transforms.patterns import gather

LINKS = ("href", "src", "action", "data", "srcset", "poster", "background", "formaction")


class Page(HTMLParser):
    """What a browser would find in a page: tags with their attributes, ids, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Publish two versions, the second over a gate, and then run into another gate."""
    job = write_job(tmp_path_factory.mktemp("report"), gates={"max_label_shift": 1})
    assert labelmill_command(["run", str(job)]) == 0
    lfs = job.parent / "lfs.py"
    lfs.write_text(lfs.read_text().replace('["cash", "prize"]', '["cash"]'))
    strict = ["--set", "gates.max_label_shift=0"]
    assert labelmill_command(["run", str(job), *strict, "--accept", "label_shift"]) == 0
    lfs.write_text(lfs.read_text().replace('["cash"]', '["cash", "win", "free"]'))
    assert labelmill_command(["run", str(job), "--set", "gates.min_coverage=0.999"]) == 3
    return job


@pytest.fixture(scope="module")
def report(job):
    return build_report(Store.open(str(job.parent / "out")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    job = write_hostile_job(tmp_path_factory.mktemp("hostile"))
    assert labelmill_command(["run", str(job)]) == 0
    return Store.open(str(job.parent / "out"))


def test_verdict_comes_first_and_says_that_a_later_run_was_refused(report):
    text = Page(render(report)).text
    verdict = text[: text.index("Labels of the")]
    assert "Newer run refused Version 2 is still the published one" in verdict
    assert "gates.min_coverage" in verdict
    assert f"{report.accuracy.share.value:.1%} 95% interval" in verdict
    assert "records with votes judged" in verdict
    assert "function money edited" in verdict
    assert "Published over gate label_shift" in verdict


def test_an_older_version_is_not_blamed_for_later_runs(job):
    first = build_report(Store.open(str(job.parent / "out")), 1)
    text = Page(render(first)).text
    assert first.refusal is None
    assert "Published all 5 gates passed" in text
    assert "This is the first version." in text


def test_counts_are_those_of_the_manifest(job, report):
    manifest = read_manifest(Store.open(str(job.parent / "out")), 2)
    assert [row.labels for row in report.classes] == manifest.counts["class_counts"]
    assert [row.votes for row in report.functions] == manifest.counts["votes"]
    assert sum(report.histogram.counts) == manifest.counts["covered"]
    assert report.before.moves.records == manifest.counts["rows"]
    before = read_manifest(Store.open(str(job.parent / "out")), 1)
    assert [row.labels_before for row in report.classes] == before.counts["class_counts"]


def test_moves_are_those_of_diff(job, report, capsys):
    assert labelmill_command(["diff", str(job.parent / "out"), "1", "2", "--json"]) == 0
    diff = json.loads(capsys.readouterr().out)
    assert report.before.moves.moved == diff["moved"] > 0
    shown = [(pair.before, pair.after, pair.records) for pair in report.before.moves.pairs]
    assert shown == [(p["before"], p["after"], p["records"]) for p in diff["pairs"]]


def test_drift_is_of_functions_that_nobody_edited(report):
    row = report.functions[0]
    rows = [
        replace(row, name="drifted", change="", votes_before=100, votes=900),
        replace(row, name="edited", change="edited", votes_before=100, votes=900),
        replace(row, name="steady", change="", votes_before=100, votes=102),
        replace(row, name="new", change="new", votes_before=None, votes=900),
    ]
    (drift,) = drifts_of(rows, 1_000, 1_000)
    assert (drift.name, drift.before, drift.now) == ("drifted", 0.1, 0.9)
    before = replace(report.before, drifts=(drift,))
    assert (
        f"drifted 0.100 0.900 {drift.shift:.0%}"
        in Page(render(replace(report, before=before))).text
    )


def test_pairs_are_those_of_all_votes(job, report):
    from labelmill.versionrows import read_table
    from labelmill.votes import lf_table

    store = Store.open(str(job.parent / "out"))
    blocks = [read_table(store, file) for file in read_manifest(store, 2).files_of("patterns")]
    table = lf_table(blocks[0].schema)
    found = find_pairs(gather(blocks, table), table.names, [""] * len(table.names))
    for pair in found.conflicting:
        a, b = (report.pairs.names.index(name) for name in (pair.first, pair.second))
        assert report.pairs.together[a][b] == pair.together
        assert report.pairs.conflicts[a][b] == report.pairs.conflicts[b][a] == pair.conflicts
    assert found.conflicting


def test_terms_of_a_record_add_up_to_its_odds(report):
    records = [one for group in report.samples.of("class") for one in group.records]
    assert records
    for one in records:
        odds = sum(term.adds for term in one.terms if term.adds is not None)
        assert odds == pytest.approx(np.log(one.confidence / (1 - one.confidence)), abs=1e-3)


def test_sampled_records_have_the_class_or_the_conflict_they_stand_for(report):
    for group in report.samples.of("class"):
        assert {one.label for one in group.records} == {group.title}
        assert all(one.values["text"] for one in group.records)
    for group in report.samples.of("conflict"):
        first, _, second = group.title.partition(" against ")
        for one in group.records:
            votes = {vote.name: vote.label for vote in one.votes}
            assert votes[first] != votes[second]
    for group in report.samples.of("uncovered"):
        assert all(one.label is None and not one.votes for one in group.records)


def test_the_same_version_gives_the_same_page(job, report):
    again = build_report(Store.open(str(job.parent / "out")))
    assert render(again) == render(report)


def test_page_refers_to_nothing_outside_itself(hostile, report):
    for html in (render(report), render(build_report(hostile))):
        page = Page(html)
        for tag, attributes in page.tags:
            for name in LINKS:
                assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
            assert "style" not in attributes
            assert not [name for name in attributes if name.startswith("on")]
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {a["href"][1:] for a in page.all("a")} <= set(ids)


def test_policy_allows_the_two_parts_of_the_page_and_nothing_else(hostile):
    html = render(build_report(hostile))
    (policy,) = [m["content"] for m in Page(html).all("meta") if "http-equiv" in m]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert allowed[kind] == f"'sha256-{digest}'"
    assert set(allowed) == {"default-src", "style-src", "script-src", "base-uri", "form-action"}


def test_text_of_the_corpus_is_text_on_the_page(hostile):
    page = Page(render(build_report(hostile)))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"img", "iframe", "base", "form", "textarea", "input", "object", "link"}
    assert len(page.all("script")) == len(page.all("style")) == 1
    for attack in attacks("http://127.0.0.1:9")[:7]:
        assert " ".join(attack.split()) in page.text
    assert "36481" not in page.text.replace(",", "")  # what a template would make of 7 * 191
    assert "1337" not in page.text


def test_hidden_characters_are_named_and_long_texts_cut(hostile):
    html = render(build_report(hostile))
    for character in "\u202e\u2066\u200b\u200d\ufeff\x00\x07\x1b\U000e0041":
        assert character not in html
        assert f"U+{ord(character):04X}" in html
    assert "characters in all" in html
    assert len(html) < 300_000


def test_excerpt_says_how_long_the_text_is():
    assert (
        excerpt("a" * 700) == "a" * 600 + ' <span class="cut">… cut, 700 characters in all</span>'
    )
    assert excerpt("<\n") == "&lt;\n"
    lines = excerpt("a\n" * 50)
    assert lines.count("\n") == 13
    assert "cut, 100 characters in all" in lines
    assert shown("\ud800") == '<span class="char">U+D800</span>'


def test_dead_letters_are_counted_and_shown(hostile):
    letters = build_report(hostile).letters
    assert (letters.bad_records, letters.faults) == (3, 9)
    assert {one.function for one in letters.shown} == {None, "breaks"}


def test_report_without_its_corpus_says_so(job, tmp_path):
    shutil.copytree(job.parent, tmp_path / "moved")
    data = job.parent / "data"
    data.rename(job.parent / "gone")
    try:
        report = build_report(Store.open(str(tmp_path / "moved" / "out")))
    finally:
        (job.parent / "gone").rename(data)
    text = Page(render(report)).text
    assert "The records' text cannot be shown" in text
    assert report.samples.of("class")[0].records[0].votes


def test_an_expected_accuracy_is_called_not_measured(report):
    expected = report.other_accuracy[-1]
    assert expected.source == "expected"
    text = Page(render(replace(report, accuracy=expected, other_accuracy=()))).text
    assert "Accuracy, not measured" in text
    assert "Nothing was measured." in text


def test_an_audit_comes_before_gold(job, tmp_path, capfd):
    shutil.copytree(job.parent / "out", tmp_path / "out")
    uri, forms = str(tmp_path / "out"), tmp_path / "forms"
    assert labelmill_command(["audit", "draw", uri, "-n", "60", "--out", str(forms)]) == 0
    (sheet,) = forms.glob("**/*.csv")
    with sheet.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    answers = tmp_path / "answers.csv"
    with answers.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "label": "ham" if n % 3 else "spam"} for n, row in enumerate(rows))
    read = ["audit", "read", uri, str(answers), "--auditor", "ann", "--out", str(forms)]
    assert labelmill_command(read) == 0
    capfd.readouterr()
    report = build_report(Store.open(uri))
    assert (report.accuracy.source, report.accuracy.records) == ("audit", 60)
    assert report.other_accuracy[0].source == "gold"
    assert report.classes[0].precision is not None
    assert ("judgements in audits", 60, None) in report.effort.lines
    assert "Accuracy, audited" in Page(render(report)).text


def test_large_versions_are_read_at_even_distances(job):
    files = read_manifest(Store.open(str(job.parent / "out"))).files_of("labels")
    assert spread(files, 1_000) == list(files)
    assert len(spread(files, 100)) == 1
    assert spread(files, 200) == [files[0], files[1]]


def test_interval_of_a_function_for_several_classes_lies_around_its_mean():
    part = {"precision": 0.8, "precision_low": 0.7, "precision_high": 0.9, "votes": 50}
    one = learned_interval({"learned_accuracy": 0.8, "learned": [part]})
    assert (one.low, one.high) == (pytest.approx(0.7), pytest.approx(0.9))
    two = learned_interval({"learned_accuracy": 0.8, "learned": [part, part]})
    assert two.high - two.low == pytest.approx(0.2 / np.sqrt(2))
    assert learned_interval({"learned_accuracy": 0.8, "learned": []}) == Interval(0.8)


def test_command_writes_the_page_where_it_is_told(job, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    uri = str(job.parent / "out")
    assert labelmill_command(["report", uri]) == 0
    assert "version 2: messages-v2.html" in capfd.readouterr().out
    assert labelmill_command(["report", uri, "--version", "1", "--out", "a.html", "--json"]) == 0
    written = json.loads(capfd.readouterr().out)
    assert written["bytes"] == (tmp_path / "a.html").stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "messages-v2.html"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--version", "9"], "has no version 9"),
        (["--column", "nothing"], "nothing"),
        (["--out", "no/folder/a.html"], "no/folder/a.html: cannot be written"),
    ],
)
def test_wrong_arguments_are_one_line(job, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert labelmill_command(["report", str(job.parent / "out"), *arguments]) != 0
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
