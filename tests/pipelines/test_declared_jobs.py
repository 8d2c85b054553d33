"""Every kind of function that a job file declares, in whole jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prompt_server import PromptServer, counted, status

from labelmill.store import Store
from labelmill.versions import read_manifest
from pipelines.cli import _main as labelmill_command

PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


def run(capfd: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """Run the command, check its exit code, return what it prints."""
    capfd.readouterr()
    status = labelmill_command([str(a) for a in arguments])
    out, err = capfd.readouterr()
    assert status == code, err
    return out if code == 0 else err


def votes_in(job: Path) -> dict[str, int]:
    """Return the votes of each function in the current version."""
    manifest = read_manifest(Store.open(str(job.parent / "out")))
    names = [lf["name"] for lf in manifest.lfs]
    return dict(zip(names, manifest.counts["votes"], strict=True))


@pytest.mark.parametrize("flags", [[], PROCESSES], ids=["one process", "two processes"])
def test_declared_functions_of_every_kind(make_job, capfd, flags):
    lfs = [
        {"keywords": {"name": "money", "label": "spam", "words_file": "words.txt"}},
        {"regex": {"name": "win", "label": "spam", "pattern": r"\bwin\b"}},
        {"field": "n", "op": ">=", "value": 200, "label": "spam"},
        {"field": "text", "op": "contains", "value": "lunch", "label": "ham", "name": "lunch"},
        {"lookup": {"name": "known", "field": "id", "table": "known.csv", "label_column": "class"}},
        {"all": {"name": "both", "label": "spam", "of": ["money", "win"]}},
        {"any": {"name": "either", "label": "spam", "of": [
            "money", {"field": "n", "op": "<", "value": 10}]}},
        {"none": {"name": "neither", "label": "ham", "of": ["money", {"not": "win"}]}},
        {"at_least": {"name": "two", "label": "spam", "n": 2, "of": [
            "money", "win", {"keywords": {"words": ["free"]}}]}},
        {"votes": {"uri": "votes.csv", "prefix": "by_"}},
    ]  # fmt: skip
    job = make_job(lfs=lfs)
    texts = {}
    for path in sorted((job.parent / "data").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            texts[row["id"]] = row["text"]
            row["n"] = int(row["id"][1:])
        path.write_text("\n".join(map(json.dumps, rows)))
    (job.parent / "words.txt").write_text("# money\ncash\nprize\n")
    (job.parent / "known.csv").write_text("key,class\nm00001,spam\nm00299,ham\nm99999,ham\n")
    (job.parent / "votes.csv").write_text(
        "item,source,vote\nm00000,ann,spam\nm00000,bob,ham\nm00250,ann,ham\nm7,ann,spam\n"
    )
    run(capfd, "run", job, *flags)

    def holding(*words: str) -> set[str]:
        return {i for i, text in texts.items() if set(words) & set(text.split())}

    money, win, free = holding("cash", "prize"), holding("win"), holding("free")
    counts = {i: (i in money) + (i in win) + (i in free) for i in texts}
    assert votes_in(job) == {
        "money": len(money),
        "win": len(win),
        "n >= 200": 100,
        "lunch": len(holding("lunch")),
        "known": 2,
        "both": len(money & win),
        "either": len(money | {i for i in texts if i < "m00010"}),
        "neither": len(win - money),
        "two": sum(count >= 2 for count in counts.values()),
        "by_ann": 2,
        "by_bob": 1,
    }
    assert "nothing to do" in run(capfd, "run", job)
    (job.parent / "words.txt").write_text("cash\nprize\nhello\n")
    run(capfd, "run", job, "--accept", "label_shift", *flags)
    assert votes_in(job)["money"] == len(holding("cash", "prize", "hello"))


def prompted_job(make_job, url: str, **options: object) -> Path:
    spec = {
        "name": "tone", "model": "m", "endpoint": url, "template": "Spam? {text}",
        "classes": ["spam", "ham"], "retries": 0, "backoff": 0, **options,
    }  # fmt: skip
    return make_job(lfs=["lfs.py", {"prompted": spec}])


@pytest.fixture
def server():
    with PromptServer(otherwise=counted) as running:
        yield running


def test_plan_tells_what_prompts_would_cost_and_asks_nobody(make_job, capfd, server):
    job = prompted_job(make_job, server.url, price={"input": 1.0, "output": 2.0})
    document = json.loads(run(capfd, "plan", job, "--json"))
    used = document["projected_usage"]["tone"]
    assert used["requests"] >= 1
    assert used["prompt_tokens"] > 100
    assert used["cost"] > 0
    assert "tone would use at most" in run(capfd, "plan", job)
    assert "was not asked" in run(capfd, "lfs", job)
    assert server.bodies == []


@pytest.mark.parametrize("flags", [[], PROCESSES], ids=["one process", "two processes"])
def test_answers_are_paid_once(make_job, capfd, server, flags):
    job = prompted_job(make_job, server.url)
    shown = run(capfd, "run", job, *flags)
    asked = len(server.bodies)
    different = len(set(server.prompts))
    assert asked >= different > 0
    assert "tone used:" in shown
    votes = votes_in(job)
    assert votes["tone"] == 300
    run(capfd, "run", job, "--full", *flags)
    assert len(server.bodies) == asked
    assert votes_in(job) == votes


def test_only_records_that_others_leave_open_are_asked_about(make_job, capfd, server):
    job = prompted_job(make_job, server.url, only_where="uncovered")
    run(capfd, "run", job)
    manifest = read_manifest(Store.open(str(job.parent / "out")))
    votes = votes_in(job)
    assert 0 < votes["tone"] < 300
    assert manifest.counts["covered"] == 300
    asked = "\n".join(server.prompts)
    assert "cash" not in asked
    assert "lunch" not in asked


def test_budget_stops_the_questions_and_a_larger_one_goes_on(make_job, capfd, server):
    job = prompted_job(make_job, server.url, max_tokens_total=900, max_tokens=8)
    shown = run(capfd, "run", job)
    first = len(server.bodies)
    assert "unasked" in shown
    assert 0 < votes_in(job)["tone"] < 300
    used = read_manifest(Store.open(str(job.parent / "out"))).run["lf_usage"]["tone"]
    assert used["prompt_tokens"] + used["completion_tokens"] <= 900
    prompted_job(make_job, server.url, max_tokens_total=100_000, max_tokens=8)
    run(capfd, "run", job)
    assert votes_in(job)["tone"] == 300
    assert len(server.bodies) < first + 60  # answers of the first run were kept


def test_refused_key_ends_the_job_with_one_clear_line(make_job, capfd):
    with PromptServer(otherwise=status(401)) as server:
        job = prompted_job(make_job, server.url)
        err = run(capfd, "run", job, code=1)
    assert "401" in err
    assert "tone" in err
    assert "Traceback" not in err


def test_after_an_outage_the_next_run_asks_again(make_job, capfd):
    with PromptServer(otherwise=status(503)) as server:
        job = prompted_job(make_job, server.url, stop_after=1000)
        run(capfd, "run", job)
        assert votes_in(job)["tone"] == 0
        server.otherwise = counted
        run(capfd, "run", job)
        assert votes_in(job)["tone"] == 300
        assert "nothing to do" in run(capfd, "run", job)


def test_votes_on_items_that_no_record_has_are_counted_in_the_summary(make_job, capfd):
    job = make_job(lfs=["lfs.py", {"votes": {"uri": "votes.csv"}}])
    (job.parent / "votes.csv").write_text(
        "item,source,vote\nm00001,ann,spam\nm00001,bob,nothing\n1,ann,spam\n2,bob,ham\n3,bob,ham\n"
    )

    out = run(capfd, "run", job)

    assert "3 of 5 votes in " in out
    assert "votes.csv are on items that are no record's id; compare its column 'item'" in out
