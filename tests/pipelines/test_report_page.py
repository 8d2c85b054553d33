"""The report in a real browser: attacks stay text, a keyboard is enough, a phone can read it."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Page, axe, in_browser, listening
from hostile_job import OWNED, attacks, write_hostile_job
from message_job import write_job

from pipelines.cli import _main as labelmill_command

pytestmark = pytest.mark.browser

PHONE = 390
SETTLED = 0.5
"""Seconds in which an attack that works has worked: on the naive page all did."""


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
    """Write a report full of attacks; gives it, where they call, and the calls that came."""
    with listening() as (address, asked):
        job = write_hostile_job(tmp_path_factory.mktemp("attacked"), address)
        assert labelmill_command(["run", str(job)]) == 0
        yield report_of(job), address, asked


@pytest.fixture(params=["page", "attacked"])
def either(request):
    made = request.getfixturevalue(request.param)
    return made if request.param == "page" else made[0]


def looked_at(
    path: Path, folder: Path, look: Callable[[Page], Awaitable[Any]], *, policy: bool = True
) -> Any:
    """Return what `look` sees on a page; without its own policy where that is asked for."""

    async def script(shown: Page) -> Any:
        await shown.call("Page.enable")
        await shown.call("Page.setBypassCSP", enabled=not policy)
        await shown.open(path)
        return await look(shown)

    return in_browser(folder, script)


async def title_after_a_while(shown: Page) -> Any:
    await asyncio.sleep(SETTLED)
    return await shown.value("document.title")


def naive(address: str) -> str:
    return "".join(f"<p>{text}</p>" for text in attacks(address)[:5])


def test_attacks_would_run_on_a_page_that_does_not_escape_them(tmp_path):
    with listening() as (address, asked):
        path = tmp_path / "naive.html"
        path.write_text(f"<!doctype html><title>safe</title>{naive(address)}", encoding="utf-8")
        assert looked_at(path, tmp_path, title_after_a_while) == OWNED
    assert {"/script", "/image"} <= set(asked)


def test_attacks_in_the_corpus_do_nothing(attacked, tmp_path):
    path, _, asked = attacked

    async def look(shown: Page) -> Any:
        title = await title_after_a_while(shown)
        return title, shown.requests(), shown.troubles()

    title, requests, troubles = looked_at(path, tmp_path, look)
    assert title != OWNED
    assert title.endswith("labelmill report")
    assert requests == [path.as_uri()]
    assert not troubles
    assert not asked


def test_escaping_alone_keeps_attacks_inert(attacked, tmp_path):
    path, _, asked = attacked

    async def look(shown: Page) -> Any:
        made = "img, iframe, form, base, main script, main style, a:not([href^='#'])"
        count = await shown.value(f'document.querySelectorAll("{made}").length')
        return await title_after_a_while(shown), count

    title, made = looked_at(path, tmp_path, look, policy=False)
    assert title != OWNED
    assert made == 0
    assert not asked


def test_policy_alone_stops_attacks_that_were_not_escaped(attacked, tmp_path):
    path, address, asked = attacked
    text = path.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("<main>", f"<main>{naive(address)}"), encoding="utf-8")

    async def look(shown: Page) -> Any:
        return await title_after_a_while(shown), shown.troubles()

    title, troubles = looked_at(broken, tmp_path, look)
    assert title != OWNED
    assert any("Content Security Policy" in trouble for trouble in troubles)
    assert not asked


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_is_accessible(either, dark, tmp_path):
    async def look(shown: Page) -> Any:
        await shown.show(1280, dark=dark)
        await shown.value(f"{axe()}; true")
        return await shown.told(
            "document.querySelectorAll('details').forEach((one) => { one.open = true; });"
            "const found = await axe.run(document);"
            "return { dark: matchMedia('(prefers-color-scheme: dark)').matches,"
            " passes: found.passes.map((rule) => rule.id), violations: found.violations.map("
            "(rule) => [rule.id, rule.nodes.slice(0, 3).map((node) => node.html)]) };"
        )

    told = looked_at(either, tmp_path, look, policy=False)
    assert told["dark"] == dark
    assert {"color-contrast", "scrollable-region-focusable"} <= set(told["passes"])
    assert told["violations"] == []


def test_tables_are_sorted_by_keyboard_alone(page, tmp_path):
    votes = (
        "Array.from(document.querySelector('#functions table').tBodies[0].rows,"
        " (row) => Number(row.cells[2].dataset.value))"
    )
    heading = "document.querySelectorAll('#functions button.sort')[2]"

    async def press_enter(shown: Page) -> None:
        for kind in ("rawKeyDown", "char", "keyUp"):
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            await shown.call("Input.dispatchKeyEvent", type=kind, **key)

    async def look(shown: Page) -> Any:
        seen = [await shown.value(votes)]
        await shown.value(f"{heading}.previousSibling; {heading}.focus()")
        for _ in range(2):
            await press_enter(shown)
            seen.append(await shown.value(votes))
            seen.append(await shown.value(f"{heading}.closest('th').getAttribute('aria-sort')"))
        seen.append(await shown.value(f"getComputedStyle({heading}).outlineStyle"))
        return seen

    before, down, said_down, up, said_up, outline = looked_at(page, tmp_path, look)
    assert down == sorted(before, reverse=True)
    assert up == sorted(before)
    assert (said_down, said_up) == ("descending", "ascending")
    assert outline == "solid"


def test_text_columns_are_sorted_from_a_to_z(page, tmp_path):
    async def look(shown: Page) -> Any:
        return await shown.told(
            "const table = document.querySelector('#functions table');"
            "table.querySelector('button.sort').click();"
            "return Array.from(table.tBodies[0].rows, (row) => row.cells[0].innerText.trim());"
        )

    names = looked_at(page, tmp_path, look)
    assert names == sorted(names)
    assert len(names) == 5


def test_nothing_is_wider_than_a_phone(either, tmp_path):
    async def look(shown: Page) -> Any:
        await shown.show(PHONE, 800)
        return await shown.told(
            "document.querySelectorAll('details').forEach((one) => { one.open = true; });"
            "return [innerWidth, document.documentElement.scrollWidth];"
        )

    width, taken = looked_at(either, tmp_path, look)
    assert width == PHONE
    assert taken <= PHONE


def test_link_to_a_conflict_opens_it(page, tmp_path):
    async def look(shown: Page) -> Any:
        return await shown.told(
            "document.querySelectorAll('details').forEach((one) => { one.open = false; });"
            "const moved = new Promise((done) => addEventListener('hashchange', done));"
            "document.querySelector('a[href=\"#conflict-1\"]').click();"
            "await moved;"
            "return document.getElementById('conflict-1').open;"
        )

    assert looked_at(page, tmp_path, look) is True


def test_print_opens_what_is_folded_and_folds_it_again(page, tmp_path):
    closed = "document.querySelectorAll('details:not([open])').length"

    async def look(shown: Page) -> Any:
        before = await shown.value(closed)
        await shown.value(
            f"addEventListener('beforeprint', () => {{ document.body.dataset.during = {closed}; }})"
        )
        pdf = await shown.call("Page.printToPDF")
        return (
            before,
            await shown.value("document.body.dataset.during"),
            await shown.value(closed),
            base64.b64decode(pdf["data"]),
        )

    before, during, after, pdf = looked_at(page, tmp_path, look)
    assert before == after > 0
    assert during == "0"
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 1
