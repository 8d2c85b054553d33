"""The pages about engines show the commands that the tests run."""

from __future__ import annotations

import re

import engines
import pytest

PAGES = engines.ROOT / "docs" / "engines"


@pytest.mark.parametrize(
    ("page", "main"), [("flink", engines.FLINK_MAIN), ("spark", engines.SPARK_MAIN)]
)
def test_a_page_starts_the_job_service_as_the_tests_do(page, main):
    text = (PAGES / f"{page}.md").read_text()
    source = (engines.ROOT / "tests" / "engines" / "engines.py").read_text()

    assert main in text
    for flag in ("--job-host", "--job-port", "--artifact-port", "--expansion-port"):
        assert flag in text
        assert flag in source
    assert f"deploy/engines/{page}/pom.xml" in text
    assert "apache_beam.runners.worker.worker_pool_main --service_port=" in text


@pytest.mark.parametrize("page", ["flink", "spark", "prism"])
def test_flags_of_a_page_are_those_of_the_tests(page):
    text = (PAGES / f"{page}.md").read_text()
    source = (engines.ROOT / "tests" / "engines" / "engines.py").read_text()
    commands = re.findall(r"labelmill run .*(?:\\\n.*)*", text)

    assert commands
    for flag in re.findall(r"--[\w_]+", " ".join(commands)):
        assert f'"{flag}' in source or f'f"{flag}' in source, flag


def test_spark_is_opened_as_the_page_says():
    text = (PAGES / "spark.md").read_text()
    for flag in engines.SPARK_OPENS:
        assert flag in text


def test_settings_of_the_page_are_those_of_the_cluster():
    text = (PAGES / "flink.md").read_text()
    for setting in re.findall(r"`([\w.-]+: [\w_]+)`", text):
        assert setting in engines.FLINK_CONFIG, setting
