"""URLs that hold credentials: refused wherever one is given, and shown nowhere."""

from __future__ import annotations

import pytest

from labelmill import data_file
from labelmill.corpus import plan_corpus
from labelmill.errors import CorpusError, LabelingFunctionError, StoreError
from labelmill.store import Store
from labelmill.uris import checked_uri, without_credentials
from pipelines.cli import _main as labelmill_command

SECRET = "hush-hush"
BAD = [
    f"s3://key:{SECRET}@bucket/a",
    f"https://host/a.jsonl?sv=1&sig={SECRET}",
    f"https://host/a.jsonl?X-Amz-Signature={SECRET}&x=1",
    f"https://host/a.jsonl?access_token={SECRET}",
]
GOOD = [
    "s3://bucket/a",
    "abfs://container@account.dfs.core.windows.net/a",
    "data/part?.jsonl",
    "gs://bucket/day=*/token=1/part-?.jsonl",
    "https://host/a.jsonl?version=3",
    "/a:b@c/x",
]


@pytest.mark.parametrize("uri", GOOD)
def test_a_url_without_credentials_is_what_it_was(uri):
    assert checked_uri(uri) == without_credentials(uri) == uri


@pytest.mark.parametrize("uri", BAD)
@pytest.mark.parametrize(
    ("open_it", "error"),
    [
        (Store.open, StoreError),
        (data_file, LabelingFunctionError),
        (lambda uri: plan_corpus(uri, columns=["a"], id_column=None), CorpusError),
    ],
    ids=["store", "data file", "corpus"],
)
def test_a_url_with_credentials_is_refused_without_showing_them(uri, open_it, error):
    with pytest.raises(error, match="credentials come from the environment") as raised:
        open_it(uri)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("uri", BAD)
@pytest.mark.parametrize(
    "where", ["input.uri={}", "gold={{column: gold, uri: '{}'}}", "output.uri={}", "uri", "export"]
)
def test_no_command_takes_or_shows_credentials_in_a_url(make_job, capfd, uri, where):
    job = make_job()
    if where == "uri":
        code = labelmill_command(["history", uri])
    elif where == "export":
        assert labelmill_command(["run", str(job)]) == 0
        code = labelmill_command(["export", str(job.parent / "out"), uri, "--format", "csv"])
    else:
        code = labelmill_command(["run", str(job), "--set", where.format(uri)])

    said = capfd.readouterr()
    assert code in (1, 2)
    assert "credentials come from the environment" in said.err
    assert SECRET not in said.out + said.err


def test_what_a_client_says_is_shown_without_tokens(monkeypatch):
    store = Store.open("memory://a")
    (fs, _) = store._filesystem()

    def refuse(*_args, **_options):
        raise PermissionError(f"GET https://oauth2/tokeninfo?access_token={SECRET} failed")

    monkeypatch.setattr(type(fs), "cat_file", refuse)
    with pytest.raises(StoreError, match=r"access_token=\*\*\* failed") as raised:
        store.get("x")
    assert SECRET not in str(raised.value)
