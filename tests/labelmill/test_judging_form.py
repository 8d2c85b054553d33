"""The form in a real browser: keys, answers, hostile text, no requests."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest
from browser import PATIENCE, Page, in_browser

from labelmill.judging.answers import read_answers
from labelmill.judging.forms import form_of
from labelmill.judging.sheet import Sheet, SheetRecord, find_sheet, write_sheet

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
)


@pytest.fixture
def drawn(tmp_path):
    texts = ["plain", HOSTILE, "third", "fourth"]
    records = tuple(
        SheetRecord(f"r{n}", "random", {"text": text}, "ham", 0.9) for n, text in enumerate(texts)
    )
    sheet = Sheet("judge", "mail <b>", ("ham", "spam", "<i>other</i>"), records)
    return sheet, write_sheet(sheet, form_of(sheet), tmp_path)


def test_keys_answer_and_the_download_is_read_back(drawn, tmp_path):
    sheet, files = drawn

    async def judge(page: Page) -> list[str]:
        await page.open(files.form)
        await page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        shown = []
        for key in ("1", "2", "?", "!", "ArrowLeft", "ArrowLeft", "3"):
            shown.append(await page.value("document.getElementById('record').textContent"))
            await page.press(key)
        await page.value("document.getElementById('judge').value = 'Ann'")
        await page.value("document.getElementById('minutes').value = '2.5'")
        await page.value("document.getElementById('save').click()")
        end = time.monotonic() + PATIENCE
        while not list(tmp_path.glob("answers-*.json")):
            assert time.monotonic() < end, page.troubles()
            await asyncio.sleep(0.1)
        assert page.troubles() == []
        return shown

    shown = in_browser(tmp_path, judge)
    assert shown[:4] == ["plain", HOSTILE, "third", "fourth"]
    (path,) = tmp_path.glob("answers-*.json")
    assert path.name == f"answers-{sheet.id}-Ann.json"
    answers = read_answers(path, partial(find_sheet, folder=tmp_path))
    assert answers.labels == {"r0": "ham", "r1": "<i>other</i>"}
    assert answers.unsure == {"r2"}
    assert answers.saw_prediction == frozenset()
    assert (answers.judge, answers.minutes, answers.missing) == ("Ann", 2.5, 1)


def test_hostile_text_stays_text_and_nothing_is_requested(drawn, tmp_path):
    _, files = drawn

    async def look(page: Page) -> dict:
        await page.open(files.form)
        await page.press("1")
        return {
            "title": await page.value("document.title"),
            "text": await page.value("document.getElementById('record').textContent"),
            "images": await page.value("document.images.length"),
            "requests": [url for url in page.requests() if not url.startswith("file:")],
            "troubles": page.troubles(),
        }

    seen = in_browser(tmp_path, look)
    assert seen == {
        "title": "judge 4 records of mail <b>",
        "text": HOSTILE,
        "images": 0,
        "requests": [],
        "troubles": [],
    }


def test_prediction_is_hidden_until_asked_for_and_answers_survive_a_reload(drawn, tmp_path):
    _, files = drawn

    async def look(page: Page) -> list[str]:
        await page.open(files.form)
        prediction = "document.getElementById('prediction').textContent"
        said = [await page.value(prediction)]
        await page.press("!")
        said.append(await page.value(prediction))
        await page.press("2")
        await page.open(files.form)
        said.append(await page.value("document.getElementById('progress').textContent"))
        unnamed = (
            "[...document.querySelectorAll('button, input')]"
            ".filter(e => !(e.textContent || e.labels.length)).length"
        )
        said.append(await page.value(unnamed))
        return said

    assert in_browser(tmp_path, look) == [
        "",
        "Predicted: ham",
        "Record 2 of 4, 1 answered",
        0,
    ]


def test_form_of_an_auditor_has_their_name_and_no_published_label(tmp_path):
    records = (SheetRecord("r0", "audit", {"text": HOSTILE}),)
    sheet = Sheet("audit", "mail", ("ham", "spam"), records, {"auditor": "Bo <b>", "draw": "d"})
    files = write_sheet(sheet, form_of(sheet), tmp_path)

    async def look(page: Page) -> list[object]:
        await page.open(files.form)
        return [
            await page.value(f"document.getElementById('{name}').{what}")
            for name, what in (("judge", "value"), ("show", "hidden"), ("record", "textContent"))
        ]

    assert in_browser(tmp_path, look) == ["Bo <b>", True, HOSTILE]
