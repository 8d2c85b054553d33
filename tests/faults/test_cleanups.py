"""Clean-ups beside refreshes that are killed, or that take up again what killed ones left."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import contextmanager

import pytest
from refreshing import Days, manifests, problems, reader_of, run, start

from labelmill.retention import clean_up, plan_cleanup
from labelmill.store import Store
from labelmill.versions import list_versions

TWO_DAYS = 2 * 86_400


@contextmanager
def cleaned_all_the_time(out):
    """Clean up a data set over and over beside the block, keeping two versions."""
    store, ended, errors = Store.open(out), threading.Event(), []

    def clean():
        while not ended.wait(0.01):
            try:
                if list_versions(store):
                    clean_up(store, plan_cleanup(store, 2))
            except Exception as error:
                errors.append(error)

    thread = threading.Thread(target=clean)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert errors == []


def make_old(out):
    """Let all that is stored look as if it had been written two days ago."""
    before = time.time() - TWO_DAYS
    for path in Store.open(out).list():
        os.utime(out / path, (before, before))


def check_cleanups(folder, days, seed, said):
    chance = random.Random(seed)
    chain = Days(folder, seed)
    calm, shaken = folder / "calm", folder / "shaken"
    with reader_of(shaken):
        for _ in range(days):
            started = time.monotonic()
            assert run(chain.job, calm) == 0
            longest = time.monotonic() - started
            process = start(chain.job, shaken)
            process.join(chance.uniform(0.5, 1) * longest)
            process.kill()
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL)
            make_old(shaken)
            process = start(chain.job, shaken)
            process.join(chance.uniform(0.1, 0.9) * longest)  # it may plan with old files by now
            with cleaned_all_the_time(shaken):
                process.join()
                if process.exitcode != 0:
                    assert "run again" in said().splitlines()[-1]
                assert run(chain.job, shaken) == 0
            assert manifests(shaken)[-1].digest == manifests(calm)[-1].digest
            assert problems(shaken) == []
            assert len(manifests(shaken)) <= 2
            chain.pass_day()
    assert "Traceback" not in said()


@pytest.mark.slow
def test_cleanups_beside_refreshes_delete_nothing_that_a_version_names(tmp_path):
    check_cleanups(tmp_path, 6, 4, (tmp_path / "printed").read_text)


VANISHING = """
import time
from pathlib import Path

from labelmill import labeling_function

shards = []


@labeling_function(batch=True)
def deletes(batch):
    if batch.num_rows == 100:  # a whole shard, not a slice of the plan's sample
        shards.append(batch["id"][0])
    if len(shards) == 3:
        while len(votes := list(Path({votes!r}).glob("[!.]*"))) < 2:
            time.sleep(0.01)
        for path in votes:
            path.unlink()
    return [None] * batch.num_rows
"""


def test_run_whose_votes_vanish_names_them_and_says_what_to_do(make_job):
    job = make_job()
    out = job.parent / "out"
    (job.parent / "lfs.py").write_text(VANISHING.format(votes=str(out / "votes")))

    assert run(job, out) == 1

    said = (job.parent / "printed").read_text().splitlines()[-1]
    assert f"{out}/votes/" in said
    assert "was deleted while this run was under way, by a clean-up perhaps; run again" in said
