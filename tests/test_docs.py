"""The documentation as a whole: every page is in the site, every command line shown is one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from pipelines.beamflags import check_flags
from pipelines.cli import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in (
        ROOT / "README.md",
        *DOCS.rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    )
    if path != DOCS / "reference" / "command-line.md"  # its lines are made from the commands
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
STARTS = re.compile(r"(?:\$ +)?labelmill\s+(?=\S)")


class SiteLoader(yaml.SafeLoader):
    """Reads mkdocs.yml; names of Python objects in it are left alone."""


SiteLoader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, tag, node: tag)


def test_site_has_every_page_once():
    site = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), SiteLoader)
    pages = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
    assert sorted(_leaves(site["nav"])) == pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_command_lines_of_the_page_are_taken_by_the_command_line(page):
    text = page.read_text(encoding="utf-8")
    wrong = {}
    for line in shown_in_blocks(text):
        said = complaint(line)
        if said is not None:
            wrong[line] = said
    for line in shown_in_sentences(text):
        said = complaint(line, whole=False)
        if said is not None:
            wrong[line] = said
    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("labelmill wash out", "No such command"),
        ("labelmill judge wash job.yaml", "No such command"),
        ("labelmill lfs job.yaml --rowz 3", "No such option"),
        ("labelmill lfs job.yaml --rows few", "Invalid value"),
        ("labelmill lfs", "Missing"),
        ("labelmill verify out more", "unexpected extra argument"),
        ("labelmill run job.yaml --direct_num_worker_count=2", "direct_num_worker_count"),
    ],
)
def test_wrong_command_lines_are_found(line, said):
    found = complaint(line)
    assert found is not None
    assert said in found


def test_command_lines_are_found_in_blocks_and_sentences():
    text = (
        "Say `labelmill\nplan`, `labelmill diff A ...`.\n\n```sh\nlabelmill init x && cd x  # go\n"
        "labelmill run job.yaml \\\n    --full\n```\n"
    )
    assert list(shown_in_blocks(text)) == ["labelmill init x", "labelmill run job.yaml --full"]
    assert list(shown_in_sentences(text)) == ["labelmill plan", "labelmill diff A"]


def shown_in_blocks(text: str) -> Iterator[str]:
    """Yield the command lines in blocks of code, without what a shell makes of them."""
    for language, code in FENCE.findall(text):
        if language not in ("", "sh", "text", "console"):
            continue
        for line in code.replace("\\\n", " ").splitlines():
            if STARTS.match(line):
                words = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
                words.whitespace_split = True
                taken = []
                for word in words:
                    if re.fullmatch(r"[|&;<>()]+", word):
                        break
                    taken.append(word)
                yield shlex.join(taken)


def shown_in_sentences(text: str) -> Iterator[str]:
    """Yield the command lines in sentences."""
    for span in SPAN.findall(FENCE.sub("", text)):
        if STARTS.match(span) and "COMMAND" not in span:
            yield " ".join(span.replace("...", " ").split(" | ")[0].split())


def complaint(line: str, *, whole: bool = True) -> str | None:
    """Return what is said against a line; one not `whole` may lack arguments, or name them."""
    try:
        context = _parsed(cli, shlex.split(line)[1:], None)
        if context.ignore_unknown_options:
            check_flags([flag for flag in context.params["beam_flags"] if flag.startswith("--")])
    except (click.BadParameter, click.exceptions.NoArgsIsHelpError) as error:
        return error.format_message() if whole else None
    except click.exceptions.Exit:  # --help and --version
        return None
    except click.ClickException as error:
        return error.format_message()
    except Exception as error:
        return str(error)
    return None


def _parsed(command: click.Command, words: list[str], parent: Any) -> click.Context:
    context = command.make_context(command.name, list(words), parent=parent)
    if not isinstance(command, click.Group):
        return context
    rest = [*context._protected_args, *context.args]
    name, below, rest = command.resolve_command(context, rest)
    assert below is not None, name
    return _parsed(below, rest, context)


def _leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from _leaves(item)
