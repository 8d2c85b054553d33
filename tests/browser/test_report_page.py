"""The report in a real browser: attacks stay text, a keyboard is enough, a phone can read it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from chromium import DARK, LIGHT, PHONE, ask, ask_on_phone, axe, dom, listening, run
from hostile_job import OWNED, attacks, write_hostile_job
from message_job import write_job

from pipelines.cli import _main as labelmill_command

pytestmark = pytest.mark.browser

TITLE = re.compile("<title>(.*?)</title>")


def report_of(job: Path) -> Path:
    page = job.parent / "report.html"
    uri = str(job.parent / "out")
    assert labelmill_command(["report", uri, "--out", str(page), "--json"]) == 0
    return page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write the report of a second version, compared with the first."""
    job = write_job(tmp_path_factory.mktemp("page"), gates={"max_label_shift": 1})
    assert labelmill_command(["run", str(job)]) == 0
    lfs = job.parent / "lfs.py"
    lfs.write_text(lfs.read_text().replace('["cash", "prize"]', '["cash"]'))
    assert labelmill_command(["run", str(job)]) == 0
    return report_of(job)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """Write a report full of attacks; gives it, and the requests that their targets got."""
    with listening() as (address, asked):
        job = write_hostile_job(tmp_path_factory.mktemp("attacked"), address)
        assert labelmill_command(["run", str(job)]) == 0
        yield report_of(job), asked


def test_attacks_would_run_on_a_page_that_does_not_escape_them(tmp_path):
    with listening() as (address, asked):
        naive = tmp_path / "naive.html"
        body = "".join(f"<p>{text}</p>" for text in attacks(address)[:5])
        naive.write_text(f"<!doctype html><title>safe</title>{body}", encoding="utf-8")
        assert TITLE.search(dom(naive))[1] == OWNED
    assert {"/script", "/image"} <= set(asked)


def test_attacks_in_the_corpus_do_nothing(attacked):
    page, asked = attacked
    title = TITLE.search(dom(page))[1]
    assert title != OWNED
    assert title.endswith("labelmill report")
    assert not asked


def test_escaping_alone_keeps_attacks_inert(attacked):
    page, asked = attacked
    question = (
        "const made = 'main img, main iframe, main form, base, main script, a:not([href^=\"#\"])';"
        "return JSON.stringify([document.title, document.querySelectorAll(made).length]);"
    )
    title, made = json.loads(ask(page, question))
    assert title != OWNED
    assert made == 0
    assert not asked


def test_policy_alone_stops_attacks_that_were_not_escaped(attacked):
    page, asked = attacked
    address = re.search(r"http://127\.0\.0\.1:\d+", page.read_text(encoding="utf-8"))[0]
    broken = page.with_name("broken.html")
    body = "".join(f"<p>{text}</p>" for text in attacks(address)[:2])
    text = page.read_text(encoding="utf-8")
    broken.write_text(text.replace("<main>", f"<main>{body}"), encoding="utf-8")
    assert TITLE.search(dom(broken))[1] != OWNED
    assert not asked


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("which", ["page", "attacked"])
def test_page_is_accessible(which, scheme, request):
    made = request.getfixturevalue(which)
    path = made if which == "page" else made[0]
    question = (
        "document.querySelectorAll('details').forEach((one) => { one.open = true; });"
        "const found = await axe.run(document, { resultTypes: ['violations'] });"
        "const dark = matchMedia('(prefers-color-scheme: dark)').matches;"
        "return JSON.stringify({ dark, passes: found.passes.length, violations: "
        "found.violations.map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html)]) });"
    )
    told = json.loads(ask(path, question, *scheme, scripts=[axe()]))
    assert told["dark"] == (scheme == DARK)
    assert told["passes"] > 20
    assert told["violations"] == []


def test_headings_sort_the_table_by_keyboard(page):
    question = """
    const table = document.querySelector('#functions table');
    const button = table.querySelectorAll('button.sort')[2];
    const votes = () => Array.from(table.tBodies[0].rows, (r) => Number(r.cells[2].dataset.value));
    const before = votes();
    button.focus();
    button.click();
    const down = votes(), first = button.closest('th').getAttribute('aria-sort');
    button.click();
    return JSON.stringify({ before, down, up: votes(), first,
      focused: document.activeElement === button,
      outline: getComputedStyle(button, ':focus-visible').outlineStyle });
    """
    told = json.loads(ask(page, question))
    assert told["down"] == sorted(told["before"], reverse=True)
    assert told["up"] == sorted(told["before"])
    assert told["first"] == "descending"
    assert told["focused"]


def test_text_columns_sort_from_a_to_z(page):
    question = """
    const table = document.querySelector('#functions table');
    table.querySelector('button.sort').click();
    return JSON.stringify(Array.from(table.tBodies[0].rows, (r) => r.cells[0].innerText.trim()));
    """
    names = json.loads(ask(page, question))
    assert names == sorted(names)
    assert len(names) == 5


@pytest.mark.parametrize("which", ["page", "attacked"])
def test_nothing_is_wider_than_a_phone(which, request):
    made = request.getfixturevalue(which)
    path = made if which == "page" else made[0]
    question = """
    document.querySelectorAll('details').forEach((one) => { one.open = true; });
    const root = document.documentElement;
    return [innerWidth, root.scrollWidth - root.clientWidth].join(' ');
    """
    assert ask_on_phone(path, question) == f"{PHONE} 0"


def test_link_to_a_conflict_opens_it(page):
    question = """
    document.querySelectorAll('details').forEach((one) => { one.open = false; });
    document.querySelector('a[href="#conflict-1"]').click();
    await new Promise((done) => setTimeout(done, 200));
    return document.getElementById('conflict-1').open;
    """
    assert ask(page, question) == "true"


def test_print_opens_what_is_folded_and_folds_it_again(page):
    question = """
    const closed = () => document.querySelectorAll('details:not([open])').length;
    const before = closed();
    dispatchEvent(new Event('beforeprint'));
    const during = closed();
    dispatchEvent(new Event('afterprint'));
    return JSON.stringify([before > 0, during, closed() === before]);
    """
    assert json.loads(ask(page, question)) == [True, 0, True]
    pdf = page.with_name("report.pdf")
    run(page, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    assert pdf.read_bytes().startswith(b"%PDF")
