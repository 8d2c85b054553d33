"""Rows done so far: appended by many, read by one, and never a reason to fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from labelmill.rowprogress import report_rows, rows_reported


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "rows"
    file.touch()
    return str(file)


def test_reports_of_many_add_up(path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: report_rows(path, n), range(200)))
    assert rows_reported(path) == sum(range(200))


def test_nothing_reported_is_zero(path):
    assert rows_reported(path) == 0


def test_nobody_watching_is_no_error(tmp_path):
    report_rows(None, 5)
    report_rows(str(tmp_path / "gone" / "rows"), 5)
    report_rows("/dev/full", 5)
    assert list(tmp_path.iterdir()) == []


def test_report_half_written_is_not_counted_yet(path, tmp_path):
    (tmp_path / "rows").write_text("100\n25")
    assert rows_reported(path) == 100
