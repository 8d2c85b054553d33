"""A year of refreshes on local disk; each day equals a full run."""

from __future__ import annotations

import pytest
from year import check_days


@pytest.mark.parametrize("seed", [1, 2])
def test_each_day_of_a_week_equals_a_full_run(tmp_path, seed):
    check_days(tmp_path, 5, seed)


@pytest.mark.slow
def test_each_day_of_a_year_equals_a_full_run(tmp_path):
    check_days(tmp_path, 60, 3)
